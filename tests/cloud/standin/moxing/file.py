"""The documented calls over a folder, as strict as the real ones.

copy is for files, copy_parallel for folders.

If the file MOXING_ROOT/faults exists, it holds a number N: every Nth call of a function fails.
"""

import itertools
import os
import shutil


def _path(url):
    if not url.startswith(("s3://", "obs://")):
        return url
    return os.path.join(os.environ["MOXING_ROOT"], url.split("://", 1)[1])


_calls = itertools.count(1)


def _may_fail():
    faults = os.path.join(os.environ["MOXING_ROOT"], "faults")
    if os.path.exists(faults):
        with open(faults) as file:
            every = int(file.read())
        if next(_calls) % every == 0:
            raise RuntimeError("the stand-in was told to fail")


def remove(url, recursive=False):
    _may_fail()
    os.remove(_path(url))


def exists(url):
    _may_fail()
    return os.path.exists(_path(url))


def is_directory(url):
    _may_fail()
    return os.path.isdir(_path(url))


def make_dirs(url):
    os.makedirs(_path(url), exist_ok=True)


def get_size(url):
    _may_fail()
    return os.path.getsize(_path(url))


def list_directory(url, recursive=False):
    _may_fail()
    folder = _path(url)
    if not recursive:
        return sorted(os.listdir(folder))
    return sorted(
        os.path.relpath(os.path.join(place, name), folder)
        for place, folders, files in os.walk(folder)
        for name in [*folders, *files]
    )


def copy(src_url, dst_url):
    _may_fail()
    if os.path.isdir(_path(src_url)):
        raise IsADirectoryError(f"copy takes a file, not {src_url}")
    if dst_url.startswith(("s3://", "obs://")):  # a store has no folders that could be missing
        os.makedirs(os.path.dirname(_path(dst_url)), exist_ok=True)
    shutil.copyfile(_path(src_url), _path(dst_url))


def copy_parallel(src_url, dst_url):
    _may_fail()
    if not os.path.isdir(_path(src_url)):
        raise NotADirectoryError(f"copy_parallel takes a folder, not {src_url}")
    shutil.copytree(_path(src_url), _path(dst_url), dirs_exist_ok=True)
