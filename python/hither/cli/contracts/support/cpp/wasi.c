// The few functions of WASI that libc keeps referring to. A contract has no files and no environment; its clock is
// the block's time, so that all nodes agree.
#include <stdint.h>

#define HOST(name) __attribute__((import_module("env"), import_name(#name))) name
uint64_t HOST(block_timestamp)(void);

#define WASI(name) __imported_wasi_snapshot_preview1_##name
#define NOT_SUPPORTED 52

int32_t WASI(clock_time_get)(int32_t clock, int64_t precision, int32_t result) {
    (void)clock, (void)precision;
    *(uint64_t *)(uintptr_t)result = block_timestamp();
    return 0;
}
int32_t WASI(fd_write)(int32_t file, int32_t parts, int32_t count, int32_t written) { return NOT_SUPPORTED; }
int32_t WASI(fd_seek)(int32_t file, int64_t offset, int32_t whence, int32_t position) { return NOT_SUPPORTED; }
int32_t WASI(fd_close)(int32_t file) { return NOT_SUPPORTED; }
int32_t WASI(fd_fdstat_get)(int32_t file, int32_t result) { return NOT_SUPPORTED; }
int32_t WASI(environ_sizes_get)(int32_t count, int32_t size) {
    *(uint32_t *)(uintptr_t)count = *(uint32_t *)(uintptr_t)size = 0;
    return 0;
}
int32_t WASI(environ_get)(int32_t list, int32_t texts) { return 0; }
void WASI(proc_exit)(int32_t code) { __builtin_trap(); }
