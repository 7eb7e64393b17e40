// Loaded before the C library: a file system without locks, one that syncs no folders, and a program that is killed.
//
// The environment has the number of the error that a call answers: FAKE_FLOCK of every flock, FAKE_FSYNC of every fsync of a
// folder. FAKE_KILL counts the calls of write, rename and fsync; the program is killed in place of that one.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int refused(const char* name) {
    const char* text = getenv(name);
    if (text) errno = atoi(text);
    return text != 0;
}

static void count(void) {
    static long calls;
    const char* last = getenv("FAKE_KILL");
    if (last && __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) == atol(last)) raise(SIGKILL);
}

int flock(int file, int operation) {
    if (refused("FAKE_FLOCK")) return -1;
    int (*real)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "flock");
    return real(file, operation);
}

int fsync(int file) {
    struct stat found;
    count();
    if (!fstat(file, &found) && S_ISDIR(found.st_mode) && refused("FAKE_FSYNC")) return -1;
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return real(file);
}

ssize_t write(int file, const void* bytes, size_t size) {
    count();
    ssize_t (*real)(int, const void*, size_t) = (ssize_t(*)(int, const void*, size_t))dlsym(RTLD_NEXT, "write");
    return real(file, bytes, size);
}

int rename(const char* from, const char* to) {
    count();
    int (*real)(const char*, const char*) = (int (*)(const char*, const char*))dlsym(RTLD_NEXT, "rename");
    return real(from, to);
}
