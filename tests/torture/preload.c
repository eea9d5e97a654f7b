/* Loaded into a server with LD_PRELOAD by tests/torture: disks that fail and clocks that jump.
 *
 *   TORTURE_MATCH       only files whose path holds this text are meant
 *   TORTURE_SYNC_LOG    each completed fsync/fdatasync adds "<size at its start> <path>"
 *   TORTURE_PLAN        a file; while it holds "KIND N", every N-th call of that kind fails:
 *                       write (EIO), short (half is written), sync (EIO), space (ENOSPC), open (EIO)
 *   TORTURE_CLOCK       a file with the seconds to add to the wall clock
 * Files are read again at each call, so that a test changes them while the server runs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_ulong calls;

static long read_small(const char *path, char *into, size_t room) {
  int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  long got = syscall(SYS_read, file, into, room - 1);
  syscall(SYS_close, file);
  if (got < 0) return -1;
  into[got] = 0;
  return got;
}

static int path_of(int file, char *into, size_t room) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  long got = syscall(SYS_readlinkat, AT_FDCWD, link, into, room - 1);
  if (got <= 0) return 0;
  into[got] = 0;
  const char *match = getenv("TORTURE_MATCH");
  return into[0] == '/' && (match == NULL || strstr(into, match) != NULL);
}

/* Whether this call of `kind` is to fail. */
static int struck(const char *kind) {
  const char *plan = getenv("TORTURE_PLAN");
  char text[64], wanted[32];
  unsigned long every = 0;
  if (plan == NULL || read_small(plan, text, sizeof text) <= 0) return 0;
  if (sscanf(text, "%31s %lu", wanted, &every) != 2 || every == 0) return 0;
  if (strcmp(kind, wanted) != 0) return 0;
  return (atomic_fetch_add(&calls, 1) + 1) % every == 0;
}

static int sync_file(int file, long call) {
  char path[4096];
  struct stat before;
  int meant = path_of(file, path, sizeof path);
  if (meant && struck("sync")) {
    errno = EIO;
    return -1;
  }
  if (meant && fstat(file, &before) != 0) meant = 0;
  int result = (int)syscall(call, file);
  const char *log = getenv("TORTURE_SYNC_LOG");
  if (result == 0 && meant && log != NULL) {
    char line[4200];
    int length = snprintf(line, sizeof line, "%lld %s\n", (long long)before.st_size, path);
    int out = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (out >= 0) {
      syscall(SYS_write, out, line, (size_t)length);
      syscall(SYS_close, out);
    }
  }
  return result;
}

int fsync(int file) { return sync_file(file, SYS_fsync); }
int fdatasync(int file) { return sync_file(file, SYS_fdatasync); }

/* Bytes to write, or -1 with errno. */
static long allowed(int file, size_t size) {
  char path[4096];
  if (getenv("TORTURE_PLAN") == NULL || !path_of(file, path, sizeof path)) return (long)size;
  if (struck("write")) {
    errno = EIO;
    return -1;
  }
  if (struck("space")) {
    errno = ENOSPC;
    return -1;
  }
  return size > 1 && struck("short") ? (long)(size / 2) : (long)size;
}

ssize_t write(int file, const void *bytes, size_t size) {
  long some = allowed(file, size);
  return some < 0 ? -1 : syscall(SYS_write, file, bytes, (size_t)some);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at) {
  long some = allowed(file, size);
  return some < 0 ? -1 : syscall(SYS_pwrite64, file, bytes, (size_t)some, at);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at) {
  return pwrite64(file, bytes, size, at);
}

static int open_file(const char *path, int flags, mode_t mode) {
  const char *match = getenv("TORTURE_MATCH");
  if ((flags & O_CREAT) && match != NULL && strstr(path, match) != NULL && struck("open")) {
    errno = EIO;
    return -1;
  }
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0;
  va_end(more);
  return open_file(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0;
  va_end(more);
  return open_file(path, flags, mode);
}

/* Without dlsym, which allocates: a sanitizer asks for the time before it can give memory. */
int clock_gettime(clockid_t clock, struct timespec *now) {
  static atomic_long added, looked;
  int result = (int)syscall(SYS_clock_gettime, clock, now);
  if (result != 0 || clock != CLOCK_REALTIME) return result;
  const char *file = getenv("TORTURE_CLOCK");
  if (file == NULL) return result;
  /* The file is looked at once in about 10 ms of wall clock. */
  long tick = (long)(now->tv_sec * 100 + now->tv_nsec / 10000000);
  if (atomic_exchange(&looked, tick) != tick) {
    char text[32];
    if (read_small(file, text, sizeof text) > 0) atomic_store(&added, strtol(text, NULL, 10));
  }
  now->tv_sec += atomic_load(&added);
  return result;
}
