// A CUDA driver without a device, for tests of what is asked of the driver and of what is said when it refuses.
//
// Memory is the host's, kernels do nothing. The environment says what it pretends: FAKE_CUDA_VERSION (12040),
// FAKE_CUDA_DEVICES (1), FAKE_CUDA_STUB (0), FAKE_CUDA_MAJOR (9), FAKE_CUDA_MEMORY (bytes), FAKE_CUDA_FAILS (the name of a kernel after which the device is lost),
// FAKE_CUDA_REFUSES (a kernel whose PTX it rejects).

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int Result;
typedef unsigned long long Address;
enum { OK = 0, OUT_OF_MEMORY = 2, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700 };

static long long number(const char* name, long long otherwise) {
    const char* text = getenv(name);
    return text ? atoll(text) : otherwise;
}

static int stream_, lost;
static long long used;

#define ALIVE if (lost) return ILLEGAL_ADDRESS;

Result cuInit(unsigned flags) { return number("FAKE_CUDA_STUB", 0) ? 34 : number("FAKE_CUDA_DEVICES", 1) < 0 ? 100 : OK; }
Result cuDriverGetVersion(int* version) { *version = number("FAKE_CUDA_VERSION", 12040); return OK; }
Result cuDeviceGetCount(int* count) { *count = number("FAKE_CUDA_DEVICES", 1); return OK; }
Result cuDeviceGet(int* device, int index) { *device = index; return OK; }
Result cuDeviceGetName(char* name, int size, int device) { snprintf(name, size, "Fake %d", device); return OK; }
Result cuDeviceTotalMem_v2(size_t* bytes, int device) { *bytes = number("FAKE_CUDA_MEMORY", 1 << 30); return OK; }
Result cuDeviceGetAttribute(int* value, int attribute, int device) {
    *value = attribute == 75 ? number("FAKE_CUDA_MAJOR", 9) : 0; // 75, 76: compute capability
    return OK;
}
Result cuDevicePrimaryCtxRetain(void** context, int device) { *context = &used; return OK; }
Result cuDevicePrimaryCtxRelease_v2(int device) { return OK; }
Result cuCtxSetCurrent(void* context) { return OK; }
Result cuStreamCreate(void** stream, unsigned flags) { *stream = &stream_; return flags == 1 ? OK : 1; } // not the default one
Result cuStreamDestroy_v2(void* stream) { return OK; }
Result cuStreamSynchronize(void* stream) { ALIVE return OK; }

Result cuMemGetInfo_v2(size_t* left, size_t* total) {
    *total = number("FAKE_CUDA_MEMORY", 1 << 30);
    *left = *total - used;
    return OK;
}
Result cuMemAlloc_v2(Address* address, size_t bytes) {
    ALIVE
    if (used + (long long)bytes > number("FAKE_CUDA_MEMORY", 1 << 30)) return OUT_OF_MEMORY;
    size_t* block = calloc(1, bytes + 64);
    *block = bytes;
    used += bytes;
    *address = (Address)block + 64;
    return OK;
}
Result cuMemFree_v2(Address address) {
    ALIVE
    size_t* block = (size_t*)(address - 64);
    used -= *block;
    free(block);
    return OK;
}
Result cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, void* stream) {
    ALIVE
    memcpy((void*)to, from, bytes);
    return OK;
}
Result cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, void* stream) {
    ALIVE
    memcpy(to, (void*)from, bytes);
    return OK;
}

Result cuMemHostAlloc(void** memory, size_t bytes, unsigned flags) { *memory = malloc(bytes); return OK; }
Result cuMemFreeHost(void* memory) { free(memory); return OK; }
Result cuCtxGetStreamPriorityRange(int* least, int* greatest) { *least = 0; *greatest = -5; return OK; }
Result cuEventCreate(void** event, unsigned flags) { *event = malloc(1); return OK; }
Result cuEventRecord(void* event, void* stream) { ALIVE return OK; }
Result cuEventElapsedTime(float* ms, void* begin, void* end) { *ms = 1; return OK; }
Result cuEventDestroy_v2(void* event) { free(event); return OK; }

// The options are the log of errors and its length.
Result cuModuleLoadDataEx(void** module, const void* image, unsigned n, const int* options, void** values) {
    ALIVE
    if (n != 2 || options[0] != 5 || options[1] != 6) return 1;
    *module = (void*)image;
    const char* refused = getenv("FAKE_CUDA_REFUSES");
    if (strncmp(image, "//", 2) == 0 && !(refused && strstr(image, refused))) return OK;
    snprintf(values[0], (size_t)values[1], "ptxas fatal: no such instruction");
    return 218; // not PTX
}
Result cuModuleUnload(void* module) { return OK; }
Result cuModuleGetFunction(void** function, void* module, const char* name) {
    ALIVE
    *function = strdup(name);
    return OK;
}
Result cuFuncLoad(void* function) { ALIVE return OK; }
Result cuFuncSetAttribute(void* function, int attribute, int value) { return attribute == 8 && value <= 227 * 1024 ? OK : 1; }
Result cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                      void* stream, void** arguments, void** extra) {
    if (gx * gy * gz == 0 || bx * by * bz > 1024 || shared > 48 * 1024 || !arguments[0]) return 1;
    const char* fails = getenv("FAKE_CUDA_FAILS");
    if (fails && strcmp(fails, function) == 0) lost = 1;
    return OK;
}
// A graph is the number of its nodes, a node its place, from 1 on.
typedef struct {
    void* function;
    unsigned gx, gy, gz, bx, by, bz, shared;
    void** arguments;
    void *extra, *kern, *context;
} Node;
Result cuGraphCreate(void** graph, unsigned flags) {
    *graph = calloc(1, sizeof(size_t));
    return OK;
}
Result cuGraphAddKernelNode_v2(void** node, void* graph, void* const* after, size_t n, const Node* p) {
    size_t* nodes = graph;
    for (size_t i = 0; i < n; i++)
        if ((size_t)after[i] == 0 || (size_t)after[i] > *nodes) return 1;
    if (p->gx * p->gy * p->gz == 0 || p->bx * p->by * p->bz > 1024 || p->shared > 48 * 1024 || !p->function || !p->arguments[0] ||
        p->extra || p->kern || p->context)
        return 1;
    *node = (void*)++*nodes;
    return OK;
}
// Edges from nodes to later ones; from capability 9.0 on programmatic ones, which begin at the port of that kind.
typedef struct { unsigned char from_port, to_port, kind, reserved[5]; } Edge;
Result cuGraphAddDependencies_v2(void* graph, void* const* from, void* const* to, const Edge* edges, size_t n) {
    const size_t* nodes = graph;
    int programmatic = number("FAKE_CUDA_MAJOR", 9) >= 9;
    for (size_t i = 0; i < n; i++)
        if (!from[i] || (size_t)from[i] >= (size_t)to[i] || (size_t)to[i] > *nodes || edges[i].to_port ||
            edges[i].kind != programmatic || edges[i].from_port != programmatic)
            return 1;
    return OK;
}
Result cuGraphKernelNodeSetAttribute(void* node, int attribute, const int* value) {
    return node && attribute == 8 && *value >= -5 && *value <= 0 ? OK : 1; // 8: priority
}
Result cuGraphInstantiateWithFlags(void** exec, void* graph, unsigned long long flags) {
    *exec = malloc(1);
    return *(size_t*)graph > 0 ? OK : 1;
}
Result cuGraphDestroy(void* graph) { free(graph); return OK; }
Result cuGraphExecDestroy(void* exec) { free(exec); return OK; }
Result cuGraphLaunch(void* exec, void* stream) { ALIVE return OK; }

Result cuGetErrorName(Result error, const char** name) {
    *name = error == ILLEGAL_ADDRESS ? "CUDA_ERROR_ILLEGAL_ADDRESS" : "CUDA_ERROR_FAKE";
    return OK;
}
Result cuGetErrorString(Result error, const char** text) {
    *text = error == ILLEGAL_ADDRESS ? "an illegal memory access was encountered" : "no description";
    return OK;
}
