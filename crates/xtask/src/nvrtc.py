"""Compiles one CUDA source to PTX with NVRTC: nvrtc.py LIBRARY SOURCE ARCH > PTX

LIBRARY is libnvrtc.so, ARCH such as compute_70. The compiler's messages go to stderr.
"""

import ctypes
import sys

library, source, arch = sys.argv[1:]
nvrtc = ctypes.CDLL(library)
nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p


def check(code):
    if code:
        sys.exit("nvrtc: " + nvrtc.nvrtcGetErrorString(code).decode())


def text(program, size, get):
    """What a pair of NVRTC functions (its size, its bytes) gives."""
    n = ctypes.c_size_t()
    check(size(program, ctypes.byref(n)))
    buffer = ctypes.create_string_buffer(n.value)
    check(get(program, buffer))
    return buffer.value.decode()


program = ctypes.c_void_p()
with open(source, "rb") as file:
    code = file.read()
name = source.replace("\\", "/").rsplit("/", 1)[-1].encode()
check(nvrtc.nvrtcCreateProgram(ctypes.byref(program), code, name, 0, None, None))
# Contraction is off: a sum of a product is fused where the source says fmaf, so that bits are those of the CPU.
options = [b"--gpu-architecture=" + arch.encode(), b"--fmad=false", b"--std=c++17"]
result = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
log = text(program, nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog)
if log.strip():
    print(log, file=sys.stderr)
check(result)
sys.stdout.write(text(program, nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX))
