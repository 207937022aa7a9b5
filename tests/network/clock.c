/* A wall clock with an offset that may change at any moment; the monotonic clock is left alone.

   Preloaded into a program.  The file $EVD_TEST_CLOCK holds the offset in seconds, as 8 bytes. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

/* Between a moment by the wall clock and one by the monotonic clock lie decades. */
#define SAME_CLOCK_S (30 * 24 * 3600)

static const int64_t none = 0;
static const volatile int64_t *offset_s = &none;
static int (*wait_on_condition)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int (*wait_on_c11_condition)(cnd_t *, mtx_t *, const struct timespec *);
static int (*wait_on_semaphore)(sem_t *, const struct timespec *);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("EVD_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *file = mmap(NULL, sizeof *offset_s, PROT_READ, MAP_SHARED, fd, 0);
        if (file != MAP_FAILED) offset_s = file;
        close(fd);
    }
    wait_on_condition = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!wait_on_condition) wait_on_condition = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    wait_on_c11_condition = dlsym(RTLD_NEXT, "cnd_timedwait");
    wait_on_semaphore = dlsym(RTLD_NEXT, "sem_timedwait");
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *offset_s;
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    (void)zone;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    now->tv_sec = t.tv_sec;
    now->tv_usec = t.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (now) *now = t.tv_sec;
    return t.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
    clock_gettime(CLOCK_REALTIME, now);
    return base;
}

/* Looks at the clock so often while it waits for a moment by it, as the kernel would at a step. */
#define SLICE_NS (20 * 1000 * 1000)

static int is_before(struct timespec a, struct timespec b) {
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

/* Waits by the true clock, a slice at a time, until it is over by ours. */
#define WAIT(until, timed_out, wait)                                        \
    do {                                                                    \
        struct timespec ours, slice;                                        \
        clock_gettime(CLOCK_REALTIME, &ours);                               \
        if (labs(until->tv_sec - ours.tv_sec) >= SAME_CLOCK_S) {            \
            slice = *until;                                                 \
            return wait;                                                    \
        }                                                                   \
        for (;;) {                                                          \
            int over = !is_before(ours, *until);                            \
            slice = over ? *until : ours;                                   \
            if (!over && (slice.tv_nsec += SLICE_NS) >= 1000000000) {       \
                slice.tv_nsec -= 1000000000;                                \
                slice.tv_sec++;                                             \
            }                                                               \
            if (!over && is_before(*until, slice)) slice = *until;          \
            slice.tv_sec -= *offset_s;                                      \
            int result = wait;                                              \
            if (over || !(timed_out)) return result;                        \
            clock_gettime(CLOCK_REALTIME, &ours);                           \
        }                                                                   \
    } while (0)

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                           const struct timespec *until) {
    WAIT(until, result == ETIMEDOUT, wait_on_condition(condition, mutex, &slice));
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until) {
    WAIT(until, result == thrd_timedout, wait_on_c11_condition(condition, mutex, &slice));
}

int sem_timedwait(sem_t *semaphore, const struct timespec *until) {
    WAIT(until, result == -1 && errno == ETIMEDOUT, wait_on_semaphore(semaphore, &slice));
}
