/* The steps of speaking, for x86-64 processors with AVX2: a linear layer with every row's own character added, attention of one token for
   each row over its cache, norms and activations. `kernels.py` calls them and says when they may be used.

   Here are the threads and what is called from outside; the steps themselves stand in `kernels_steps.h`, which each level of processors
   (`kernels_avx2.c`, `kernels_avx512.c`) compiles for itself.

   What a row gets does not depend on the rows beside it, nor on the number of threads or the level: sums of whole numbers are exact, and
   every other sum is made in one order. One caller at a time. */

#include <stdint.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "kernels.h"

#define MOST_THREADS 64
#define SPINS 2000

/* ---- the same work on several threads ---- */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    _Atomic uint64_t next;  /* number of the job << 32 | its next part */
    _Atomic int64_t left, parts, sleepers;
    Work work;
    void *job;
    int threads;  /* that have been started */
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

/* Takes parts of the current job until none is left. */
static void help(void) {
    for (;;) {
        uint64_t seen = atomic_load(&pool.next);
        int64_t part = (int64_t)(uint32_t)seen;
        if (part >= atomic_load(&pool.parts)) return;
        /* Once it is taken, the job cannot end, and what is read of it is its own. */
        if (!atomic_compare_exchange_weak(&pool.next, &seen, seen + 1)) continue;
        pool.work(pool.job, part);
        atomic_fetch_sub(&pool.left, 1);
    }
}

static void *helper(void *unused) {
    (void)unused;
    uint64_t known = 0;
    for (;;) {
        uint64_t now = atomic_load(&pool.next) >> 32;
        for (int spin = 0; now == known && spin < SPINS; spin++) {
            _mm_pause();
            now = atomic_load(&pool.next) >> 32;
        }
        if (now == known) {
            pthread_mutex_lock(&pool.mutex);
            atomic_fetch_add(&pool.sleepers, 1);
            while ((now = atomic_load(&pool.next) >> 32) == known) pthread_cond_wait(&pool.wake, &pool.mutex);
            atomic_fetch_sub(&pool.sleepers, 1);
            pthread_mutex_unlock(&pool.mutex);
        }
        known = now;
        help();
    }
    return NULL;
}

static int64_t threads = 1; /* that share the work, the caller among them */

void mynah_use_threads(int64_t count) { threads = count < 1 ? 1 : count > MOST_THREADS ? MOST_THREADS : count; }

static void share(Work work, void *job, int64_t parts) {
    if (threads < 2 || parts < 2) {
        for (int64_t part = 0; part < parts; part++) work(job, part);
        return;
    }
    while (pool.threads < threads - 1) {
        pthread_t made;
        if (pthread_create(&made, NULL, helper, NULL)) break;
        pthread_detach(made);
        pool.threads++;
    }
    uint64_t number = (atomic_load(&pool.next) >> 32) + 1;
    atomic_store(&pool.next, number << 32 | UINT32_MAX); /* whoever looks now finds nothing */
    pool.work = work;
    pool.job = job;
    atomic_store(&pool.left, parts);
    atomic_store(&pool.parts, parts);
    atomic_store(&pool.next, (number + 1) << 32);
    if (atomic_load(&pool.sleepers)) {
        pthread_mutex_lock(&pool.mutex);
        pthread_cond_broadcast(&pool.wake);
        pthread_mutex_unlock(&pool.mutex);
    }
    help();
    for (int spin = 0; atomic_load(&pool.left) > 0; spin++) {
        if (spin < SPINS) _mm_pause();
        else sched_yield();
    }
}

static void *scratch(int64_t place, int64_t bytes) {
    static struct { void *memory; int64_t bytes; } kept[3];
    if (kept[place].bytes < bytes) {
        void *memory = aligned_alloc(64, (size_t)((bytes + 63) / 64 * 64));
        if (!memory) return NULL;
        free(kept[place].memory);
        kept[place].memory = memory;
        kept[place].bytes = bytes;
    }
    return kept[place].memory;
}

/* ---- the levels ---- */

extern const Steps mynah_avx2, mynah_avx512;
static const Steps *const levels[] = {&mynah_avx2, &mynah_avx512};
static const Steps *steps;

/* How many of the levels this processor can do; each comes with those before it. */
int mynah_levels(void) {
    unsigned int a, b, c = 0, d;
    __get_cpuid(1, &a, &b, &c, &d);
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !(c & bit_F16C)) return 0;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni") ? 2 : 1;
}

/* One of those levels, the first is 0. To be called before all else. */
void mynah_use_level(int level) { steps = levels[level]; }

/* ---- the steps ---- */

/* y [rows][outputs] from x [rows][inputs]; pairs [rows] or NULL. 0, or 1 when memory ran out. */
int mynah_linear(const Matrix *matrix, const float *x, int64_t rows, const Pair *pairs, float *y) {
    Product p = {.matrix = matrix, .x = x, .pairs = pairs, .y = y, .rows = rows, .depth = (matrix->inputs + 3) / 4};
    for (int64_t row = 0; pairs && row < rows; row++)
        if (pairs[row].rank > p.most_rank) p.most_rank = pairs[row].rank;
    p.whole = scratch(0, rows * p.depth * MOST_FOUR);
    p.low = scratch(1, rows * 2 * 4);
    p.inner = scratch(2, rows * p.most_rank * 4 + 4);
    if (!p.whole || !p.low || !p.inner) return 1;
    p.step = p.low + rows;
    share(steps->take_in, &p, rows);
    share(steps->multiply, &p, (matrix->outputs + WIDE - 1) / WIDE);
    return 0;
}

void mynah_pack(Packing *packing) { share(steps->pack, packing, (packing->outputs + WIDE - 1) / WIDE); }

int mynah_attend(Attention *a, int64_t rows) {
    a->shares = scratch(0, rows * a->key_heads * a->room * 4);
    if (!a->shares) return 1;
    share(steps->attend, a, rows * a->key_heads);
    return 0;
}

/* To each row [width] of embeddings: the product of the pair, whose second matrix has a row for each token. */
void mynah_embed(const Pair *pairs, const int64_t *tokens, float *rows, int64_t count, int64_t width) {
    steps->embed(pairs, tokens, rows, count, width);
}

/* y [rows][width]: each row of x without its mean, by its deviation, times the weights, plus the bias; without a bias its mean stays. */
void mynah_norm(const float *x, const float *weight, const float *bias, float *y, int64_t rows, int64_t width, float epsilon) {
    steps->norm(x, weight, bias, y, rows, width, epsilon);
}

/* In place. */
void mynah_activate(int which, float *x, int64_t count) {
    Activation a = {.x = x, .count = count, .which = which};
    share(steps->activate, &a, (count + ACTIVATED - 1) / ACTIVATED);
}
#else
int mynah_levels(void) { return 0; }
#endif
