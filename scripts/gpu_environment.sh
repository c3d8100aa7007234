#!/usr/bin/env bash
# Makes .venv-gpu: MindSpore 2.10.0 with all of CUDA 11 that it needs on an NVIDIA GPU, from PyPI; only the driver is the system's.
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

case ${1-} in
    '') ;;
    -h | --help)
        printf 'usage: bash scripts/gpu_environment.sh\n\nThen: source .venv-gpu/env.sh\n'
        exit 0
        ;;
    *) fail "'$1' is not understood: it takes no arguments" ;;
esac
use_environment .venv-gpu requirements-gpu.txt 3.10 3.12
make_environment
site=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cuda=$VENV/cuda
rm -rf "$cuda"
mkdir -p "$cuda/bin" "$cuda/lib64"
for library in "$site"/nvidia/*/lib/*.so*; do
    ln -s "$library" "$cuda/lib64/"
done
# MindSpore's check reads CUDA's version off this name; cuDNN 8 opens these two by names without a version.
ln -sf libcudart.so.11.0 "$cuda/lib64/libcudart.so.11.6.55"
ln -sf libnvrtc.so.11.2 "$cuda/lib64/libnvrtc.so"
driver=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null | sed -n 's/.*libcuda\.so\.1 .*x86-64.*=> //p' | head -n 1) || driver=
if [ -n "$driver" ]; then
    ln -sf "$driver" "$cuda/lib64/libcuda.so"
fi
# MindSpore asks nvcc which CUDA there is; PyPI's packages have no nvcc. Other questions get no answer, as it expects.
cat >"$cuda/bin/nvcc" <<'EOF2'
#!/bin/sh
[ "$*" = --version ] && echo "Cuda compilation tools, release 11.8, V11.8.89"
exit 0
EOF2
chmod +x "$cuda/bin/nvcc"
# Its plugin looks here first, and then in /usr/local/cuda, where another CUDA's may lie.
ln -sf "$cuda/lib64/libcurand.so.10" "$site/mindspore/lib/plugin/gpu11.6/libcurand.so.10"
cat >"$VENV/env.sh" <<EOF2
# source this: MindSpore 2.10.0 with CUDA 11 in $VENV
. "$VENV/bin/activate"
export CUDA_HOME="$cuda"
export PATH="$cuda/bin:\$PATH"
export LD_LIBRARY_PATH="$cuda/lib64\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
EOF2
if [ -z "$driver" ]; then
    echo "made $VENV; this machine has no NVIDIA driver (libcuda.so.1): call this again where there is one"
else
    echo "made $VENV; now: source $VENV/env.sh"
fi
