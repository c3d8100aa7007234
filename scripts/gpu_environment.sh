#!/usr/bin/env bash
# Makes .venv-gpu: MindSpore 2.10.0 for an NVIDIA GPU, with the libraries of CUDA 11, all from PyPI. Only the driver comes from the
# system.
set -euo pipefail
# shellcheck source=scripts/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

case ${1-} in
    '') ;;
    -h | --help)
        printf 'usage: bash scripts/gpu_environment.sh\n\nThen: source .venv-gpu/env.sh\n'
        exit 0
        ;;
    *) fail "'$1' is not understood: this script accepts no arguments" ;;
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
# MindSpore's check reads CUDA's version from the name of libcudart. cuDNN 8 opens libnvrtc.so and libcuda.so, without a version.
ln -sf libcudart.so.11.0 "$cuda/lib64/libcudart.so.11.6.55"
ln -sf libnvrtc.so.11.2 "$cuda/lib64/libnvrtc.so"
driver=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null | sed -n 's/.*libcuda\.so\.1 .*x86-64.*=> //p' | head -n 1) || driver=
if [ -n "$driver" ]; then
    ln -sf "$driver" "$cuda/lib64/libcuda.so"
fi
# MindSpore asks nvcc for CUDA's version, but PyPI's packages have no nvcc. MindSpore accepts an empty answer to its other questions.
cat >"$cuda/bin/nvcc" <<'EOF2'
#!/bin/sh
[ "$*" = --version ] && echo "Cuda compilation tools, release 11.8, V11.8.89"
exit 0
EOF2
chmod +x "$cuda/bin/nvcc"
# MindSpore's GPU plugin searches its own folder first. Then it searches /usr/local/cuda, which may hold another CUDA.
ln -sf "$cuda/lib64/libcurand.so.10" "$site/mindspore/lib/plugin/gpu11.6/libcurand.so.10"
cat >"$VENV/env.sh" <<EOF2
# Source this file to use MindSpore 2.10.0 with CUDA 11 in $VENV.
. "$VENV/bin/activate"
export CUDA_HOME="$cuda"
export PATH="$cuda/bin:\$PATH"
export LD_LIBRARY_PATH="$cuda/lib64\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
EOF2
if [ -z "$driver" ]; then
    echo "made $VENV; this machine has no NVIDIA driver (libcuda.so.1): install it, then call this script again"
else
    echo "made $VENV; now: source $VENV/env.sh"
fi
