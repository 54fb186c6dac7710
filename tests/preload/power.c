/* Keeps what fsync made sure of, as if the machine were to lose its power: preloaded into a program under test.
 *
 * UNDERTONE_POWER_ROOT  the folder that is watched, an absolute path
 * UNDERTONE_POWER_SAFE  where copies are kept: f<inode> for a file, d<inode> for the names in a folder; and the log
 * UNDERTONE_POWER_STEP  the process is killed before it does the step of this number; 0: never
 *
 * A step is a call that changes something in the watched folder. Nothing is synced in truth.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *root, *safe;
static long kill_at, steps;
static int log_fd = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

/* Straight into the kernel: ours would count it. */
static int raw_open(const char *path, int flags, int mode) {
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
}

__attribute__((constructor)) static void begin(void) {
    char path[PATH_MAX];
    const char *step = getenv("UNDERTONE_POWER_STEP");
    safe = getenv("UNDERTONE_POWER_SAFE");
    kill_at = step ? atol(step) : 0;
    if (!safe) return;
    snprintf(path, sizeof path, "%s/log", safe);
    log_fd = raw_open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    root = getenv("UNDERTONE_POWER_ROOT");
}

static int inside(const char *path) {
    size_t length = root ? strlen(root) : 0;
    return length && path && !strncmp(path, root, length) && (path[length] == '/' || !path[length]);
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
    return inside(path);
}

static int path_at(int folder, const char *name, char *path) {
    char above[PATH_MAX];
    if (!root || !name) return 0;
    if (*name == '/') {
        snprintf(path, PATH_MAX, "%s", name);
    } else if (folder == AT_FDCWD) {
        if (!getcwd(above, sizeof above)) return 0;
        if ((size_t)snprintf(path, PATH_MAX, "%s/%s", above, name) >= PATH_MAX) return 0;
    } else {
        path_of(folder, above);
        if ((size_t)snprintf(path, PATH_MAX, "%s/%s", above, name) >= PATH_MAX) return 0;
    }
    return inside(path);
}

static void step(const char *call, const char *path) {
    char line[PATH_MAX + 64];
    pthread_mutex_lock(&lock);
    steps++;
    const char *file = path + strlen(root);
    int length = snprintf(line, sizeof line, "%s %s\n", call, *file ? file + 1 : file);
    if (syscall(SYS_write, log_fd, line, (size_t)length) < 0) abort();
    if (steps == kill_at) {
        syscall(SYS_kill, getpid(), SIGKILL);
        for (;;) pause();
    }
    pthread_mutex_unlock(&lock);
}

static void step_fd(const char *call, int fd) {
    int before = errno;
    char path[PATH_MAX];
    if (root && fd > 2 && path_of(fd, path)) step(call, path);
    errno = before;
}

/* The inode of what loses its name isn't given to another file while this process lives. */
static void hold(const char *path) { (void)!raw_open(path, O_PATH | O_NOFOLLOW, 0); }

static void forget(char kind, const char *path) {
    char copy[PATH_MAX];
    struct stat is;
    if (lstat(path, &is)) return;
    snprintf(copy, sizeof copy, "%s/%c%lu", safe, kind, (unsigned long)is.st_ino);
    syscall(SYS_unlinkat, AT_FDCWD, copy, 0);
}

/* A copy of what a file or folder holds now, whole or not at all. */
static int keep(int fd) {
    char name[PATH_MAX], copy[PATH_MAX], buffer[1 << 16];
    struct stat is;
    if (fstat(fd, &is)) return -1;
    snprintf(name, sizeof name, "%s/new.%ld", safe, (long)syscall(SYS_gettid));
    snprintf(copy, sizeof copy, "%s/%c%lu", safe, S_ISDIR(is.st_mode) ? 'd' : 'f', (unsigned long)is.st_ino);
    int to = raw_open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    snprintf(buffer, sizeof buffer, "/proc/self/fd/%d", fd);
    int from = raw_open(buffer, O_RDONLY, 0);
    if (to < 0 || from < 0) abort();
    if (S_ISDIR(is.st_mode)) {
        DIR *folder = fdopendir(from);
        for (struct dirent *entry; (entry = readdir(folder));) {
            if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
            int length = snprintf(buffer, sizeof buffer, "%c %lu %s\n", entry->d_type == DT_DIR ? 'd' : 'f',
                                  (unsigned long)entry->d_ino, entry->d_name);
            if (syscall(SYS_write, to, buffer, (size_t)length) != length) abort();
        }
        closedir(folder);
    } else {
        for (ssize_t length; (length = read(from, buffer, sizeof buffer)) > 0;)
            if (syscall(SYS_write, to, buffer, (size_t)length) != length) abort();
        close(from);
    }
    close(to);
    if (syscall(SYS_renameat2, AT_FDCWD, name, AT_FDCWD, copy, 0)) abort();
    return 0;
}

static int sync_fd(const char *call, int fd, int (*really)(int)) {
    char path[PATH_MAX];
    if (!root || fd <= 2 || !path_of(fd, path)) return really(fd);
    step(call, path);
    return keep(fd);
}

int fsync(int fd) { return sync_fd("fsync", fd, REAL(fsync)); }
int fdatasync(int fd) { return sync_fd("fdatasync", fd, REAL(fdatasync)); }

ssize_t write(int fd, const void *bytes, size_t length) {
    step_fd("write", fd);
    return REAL(write)(fd, bytes, length);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    step_fd("pwrite64", fd);
    return REAL(pwrite)(fd, bytes, length, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    step_fd("pwrite64", fd);
    return REAL(pwrite64)(fd, bytes, length, at);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    step_fd("writev", fd);
    return REAL(writev)(fd, parts, count);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    step_fd("pwritev", fd);
    return REAL(pwritev)(fd, parts, count, at);
}
int ftruncate(int fd, off_t length) {
    step_fd("ftruncate", fd);
    return REAL(ftruncate)(fd, length);
}
int ftruncate64(int fd, off64_t length) {
    step_fd("ftruncate", fd);
    return REAL(ftruncate64)(fd, length);
}
int fallocate(int fd, int mode, off_t at, off_t length) {
    step_fd("fallocate", fd);
    return REAL(fallocate)(fd, mode, at, length);
}
int fallocate64(int fd, int mode, off64_t at, off64_t length) {
    step_fd("fallocate", fd);
    return REAL(fallocate64)(fd, mode, at, length);
}
int fchmod(int fd, mode_t mode) {
    step_fd("fchmod", fd);
    return REAL(fchmod)(fd, mode);
}
int chmod(const char *name, mode_t mode) {
    char path[PATH_MAX];
    if (path_at(AT_FDCWD, name, path)) step("chmod", path);
    return REAL(chmod)(name, mode);
}

int renameat(int from, const char *name, int to, const char *other) {
    char path[PATH_MAX];
    if (path_at(from, name, path)) {
        step("rename", path);
        if (path_at(to, other, path)) hold(path);
    }
    return REAL(renameat)(from, name, to, other);
}
int rename(const char *name, const char *other) { return renameat(AT_FDCWD, name, AT_FDCWD, other); }

int unlinkat(int folder, const char *name, int flags) {
    char path[PATH_MAX];
    if (path_at(folder, name, path)) {
        step(flags & AT_REMOVEDIR ? "rmdir" : "unlink", path);
        hold(path);
    }
    return REAL(unlinkat)(folder, name, flags);
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int mkdirat(int folder, const char *name, mode_t mode) {
    char path[PATH_MAX];
    int is_ours = path_at(folder, name, path);
    if (is_ours) step("mkdir", path);
    int made = REAL(mkdirat)(folder, name, mode);
    if (is_ours && !made) forget('d', path);
    return made;
}
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

static int open_at(int folder, const char *name, int flags, int mode) {
    char path[PATH_MAX];
    int is_new = 0;
    if ((flags & O_CREAT) && path_at(folder, name, path)) {
        struct stat is;
        step("openat", path);
        is_new = lstat(path, &is) != 0;
    }
    int fd = (int)syscall(SYS_openat, folder, name, flags, mode);
    if (is_new && fd >= 0) {
        int before = errno;
        forget('f', path);
        errno = before;
    }
    return fd;
}

#define MODE(after)                                                                                                   \
    int mode = 0;                                                                                                     \
    if (flags & O_CREAT) {                                                                                            \
        va_list more;                                                                                                 \
        va_start(more, after);                                                                                        \
        mode = va_arg(more, int);                                                                                     \
        va_end(more);                                                                                                 \
    }

int open(const char *name, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, name, flags, mode); }
int openat(int folder, const char *name, int flags, ...) { MODE(flags) return open_at(folder, name, flags, mode); }
int openat64(int folder, const char *name, int flags, ...) { MODE(flags) return open_at(folder, name, flags, mode); }
