/* The steps of speaking, for processors that multiply bytes (AVX-512 VNNI): a linear layer with every row's own character added, attention of
   one token for each row over its cache, norms and activations. `kernels.py` calls them and says when they may be used.

   What a row gets does not depend on the rows beside it, nor on the number of threads: sums of whole numbers are exact, and every other sum
   is made in one order. One caller at a time. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#include <sched.h>
#define VECTOR __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,f16c,fma")))
#define WIDE 64  /* outputs side by side in the packed weights */
#define MOST_ROWS 6 /* whose sums are in registers at once */
#define AHEAD 2048 /* bytes that are fetched before they are needed */
#define MOST_THREADS 64
#define SPINS 2000
#define ACTIVATED 8192 /* numbers that one thread activates at once */

/* ---- the same work on several threads ---- */

typedef void (*Work)(void *job, int64_t part);

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

/* ---- a linear layer ---- */

typedef struct {
    int64_t inputs, outputs;
    const int8_t *weights; /* [outputs / 64][inputs / 4][64][4], zeros where there is none */
    const float *scales, *sums, *bias; /* of each output: of a weight, of its weights' sum, and its bias; padded to 64 */
} Matrix;

typedef struct {
    const uint16_t *a, *b; /* 16-bit floats, [rank][inputs] and [outputs][rank] */
    const uint16_t *bias;  /* [outputs], or NULL */
    int64_t rank;          /* 0: nothing is added */
} Pair;

typedef struct {
    const Matrix *matrix;
    const float *x;
    const Pair *pairs;
    float *y;
    int64_t rows, depth, most_rank;
    uint8_t *whole;              /* [rows][depth * 4] */
    float *low, *step, *inner;   /* [rows], [rows], [rows][most_rank] */
} Product;

/* Marks so many of sixteen. */
static inline __mmask16 first(int64_t count) { return count >= 16 ? 0xffff : (__mmask16)((1u << count) - 1); }

VECTOR static inline __m512 halves(const uint16_t *at, __mmask16 which) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(which, at));
}

/* One row of the input as bytes, and its product with the pair's first matrix. */
VECTOR static void take_in(void *job, int64_t row) {
    Product *p = job;
    int64_t inputs = p->matrix->inputs;
    const float *x = p->x + row * inputs;
    float low = x[0], high = x[0];
#pragma omp simd reduction(min : low) reduction(max : high)
    for (int64_t i = 0; i < inputs; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    float width = high - low > 1e-28f ? high - low : 1e-28f, per = 255.0f / width;
    uint8_t *whole = p->whole + row * p->depth * 4;
    __m512 lows = _mm512_set1_ps(low), pers = _mm512_set1_ps(per);
    for (int64_t i = 0; i < inputs; i += 16) {
        __mmask16 which = first(inputs - i);
        __m512 scaled = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(which, x + i), lows), pers);
        _mm_mask_storeu_epi8(whole + i, which, _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(scaled)));
    }
    memset(whole + inputs, 0, (size_t)(p->depth * 4 - inputs));
    p->low[row] = low;
    p->step[row] = width / 255.0f;
    if (!p->pairs) return;
    const Pair *pair = p->pairs + row;
    float *inner = p->inner + row * p->most_rank;
    int64_t r = 0;
    for (; r + 4 <= pair->rank; r += 4) {
        __m512 sums[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
        for (int64_t i = 0; i < inputs; i += 16) {
            __mmask16 which = first(inputs - i);
            __m512 input = _mm512_maskz_loadu_ps(which, x + i);
            for (int n = 0; n < 4; n++) {
                const uint16_t *a = pair->a + (r + n) * inputs + i;
                if (r + n + 4 < pair->rank) _mm_prefetch((const char *)(a + 4 * inputs), _MM_HINT_T0); /* for the next four */
                sums[n] = _mm512_fmadd_ps(halves(a, which), input, sums[n]);
            }
        }
        for (int n = 0; n < 4; n++) inner[r + n] = _mm512_reduce_add_ps(sums[n]);
    }
    for (; r < pair->rank; r++) {
        __m512 sum = _mm512_setzero_ps();
        for (int64_t i = 0; i < inputs; i += 16) {
            __mmask16 which = first(inputs - i);
            sum = _mm512_fmadd_ps(halves(pair->a + r * inputs + i, which), _mm512_maskz_loadu_ps(which, x + i), sum);
        }
        inner[r] = _mm512_reduce_add_ps(sum);
    }
}

/* The sums of sixteen vectors, side by side. */
VECTOR static inline __attribute__((always_inline)) __m512 sums_of(__m512 *v) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) v[i] = _mm512_add_ps(_mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]), _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1]));
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        __m512d low = _mm512_castps_pd(v[2 * i]), high = _mm512_castps_pd(v[2 * i + 1]);
        v[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(low, high)), _mm512_castpd_ps(_mm512_unpackhi_pd(low, high)));
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++)
        v[i] = _mm512_add_ps(_mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0x88), _mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0xdd));
    return _mm512_add_ps(_mm512_shuffle_f32x4(v[0], v[1], 0x88), _mm512_shuffle_f32x4(v[0], v[1], 0xdd));
}

/* What a pair adds to sixteen outputs, or to the last few. */
VECTOR static inline __m512 added(const Pair *pair, const float *inner, int64_t at, int64_t count) {
    __m512 products[16];
#pragma GCC unroll 16
    for (int n = 0; n < 16; n++) products[n] = _mm512_setzero_ps();
    for (int64_t r = 0; r < pair->rank; r += 16) {
        __mmask16 which = first(pair->rank - r);
        __m512 input = _mm512_maskz_loadu_ps(which, inner + r);
        const uint16_t *b = pair->b + at * pair->rank + r;
#pragma GCC unroll 16
        for (int n = 0; n < 16; n++) products[n] = _mm512_fmadd_ps(halves(b + (n < count ? n : 0) * pair->rank, which), input, products[n]);
    }
    return sums_of(products);
}

/* Sixteen outputs of a row, from the sum of bytes. */
VECTOR static inline void put_out(const Product *p, int64_t row, int64_t at, __m512i sum) {
    const Matrix *m = p->matrix;
    __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(_mm512_set1_ps(p->step[row]), _mm512_loadu_ps(m->scales + at)));
    y = _mm512_add_ps(_mm512_fmadd_ps(_mm512_set1_ps(p->low[row]), _mm512_loadu_ps(m->sums + at), y), _mm512_loadu_ps(m->bias + at));
    int64_t left = m->outputs - at;
    if (left <= 0) return;
    __mmask16 which = first(left);
    if (p->pairs) {
        const Pair *pair = p->pairs + row;
        if (pair->rank) y = _mm512_add_ps(y, added(pair, p->inner + row * p->most_rank, at, left < 16 ? left : 16));
        if (pair->bias) y = _mm512_add_ps(y, halves(pair->bias + at, which));
    }
    _mm512_mask_storeu_ps(p->y + row * m->outputs + at, which, y);
}

VECTOR static inline __m512i four(const uint8_t *bytes) {
    int32_t together;
    memcpy(&together, bytes, 4);
    return _mm512_set1_epi32(together);
}

/* Sixty-four outputs of so many rows; the number is known where this is inlined, so that the sums stay in registers. */
VECTOR static inline __attribute__((always_inline)) void multiply_rows(const Product *p, int64_t block, int64_t row, const int count) {
    int64_t depth = p->depth, stride = depth * 4;
    const int8_t *weights = p->matrix->weights + block * WIDE * stride;
    const uint8_t *x = p->whole + row * stride;
    for (int r = 0; r < count && p->pairs; r++) { /* on its way while the bytes are multiplied */
        const Pair *pair = p->pairs + row + r;
        const char *b = (const char *)(pair->b + block * WIDE * pair->rank);
        for (int64_t at = 0; at < WIDE * pair->rank * 2; at += 64) _mm_prefetch(b + at, _MM_HINT_T0);
    }
    __m512i sums[MOST_ROWS][4];
#pragma GCC unroll 6
    for (int r = 0; r < count; r++) sums[r][0] = sums[r][1] = sums[r][2] = sums[r][3] = _mm512_setzero_si512();
    for (int64_t k = 0; k < depth; k++) {
        const int8_t *w = weights + k * 256;
        for (int n = 0; n < 4; n++) _mm_prefetch((const char *)w + AHEAD + 64 * n, _MM_HINT_T0);
        __m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + 64), w2 = _mm512_load_si512(w + 128), w3 = _mm512_load_si512(w + 192);
#pragma GCC unroll 6
        for (int r = 0; r < count; r++) {
            __m512i input = four(x + r * stride + 4 * k);
            sums[r][0] = _mm512_dpbusd_epi32(sums[r][0], input, w0);
            sums[r][1] = _mm512_dpbusd_epi32(sums[r][1], input, w1);
            sums[r][2] = _mm512_dpbusd_epi32(sums[r][2], input, w2);
            sums[r][3] = _mm512_dpbusd_epi32(sums[r][3], input, w3);
        }
    }
    int32_t done[MOST_ROWS][WIDE] __attribute__((aligned(64))); /* what is read by a number that is not known here stays in no register */
#pragma GCC unroll 6
    for (int r = 0; r < count; r++)
#pragma GCC unroll 4
        for (int n = 0; n < 4; n++) _mm512_store_si512(done[r] + 16 * n, sums[r][n]);
    for (int r = 0; r < count; r++)
        for (int n = 0; n < 4; n++) put_out(p, row + r, block * WIDE + 16 * n, _mm512_load_si512(done[r] + 16 * n));
}

/* Sixty-four outputs of every row. */
VECTOR static void multiply(void *job, int64_t block) {
    const Product *p = job;
    for (int64_t row = 0; row < p->rows;) {
        int64_t left = p->rows - row, rounds = (left + MOST_ROWS - 1) / MOST_ROWS, count = (left + rounds - 1) / rounds;
        switch (count) {
            case 1: multiply_rows(p, block, row, 1); break;
            case 2: multiply_rows(p, block, row, 2); break;
            case 3: multiply_rows(p, block, row, 3); break;
            case 4: multiply_rows(p, block, row, 4); break;
            case 5: multiply_rows(p, block, row, 5); break;
            default: multiply_rows(p, block, row, 6); break;
        }
        row += count;
    }
}

/* y [rows][outputs] from x [rows][inputs]; pairs [rows] or NULL. 0, or 1 when memory ran out. */
int mynah_linear(const Matrix *matrix, const float *x, int64_t rows, const Pair *pairs, float *y) {
    Product p = {.matrix = matrix, .x = x, .pairs = pairs, .y = y, .rows = rows, .depth = (matrix->inputs + 3) / 4};
    for (int64_t row = 0; pairs && row < rows; row++)
        if (pairs[row].rank > p.most_rank) p.most_rank = pairs[row].rank;
    p.whole = scratch(0, rows * p.depth * 4 + 64);
    p.low = scratch(1, rows * 2 * 4);
    p.inner = scratch(2, rows * p.most_rank * 4 + 4);
    if (!p.whole || !p.low || !p.inner) return 1;
    p.step = p.low + rows;
    share(take_in, &p, rows);
    share(multiply, &p, (matrix->outputs + WIDE - 1) / WIDE);
    return 0;
}

/* ---- packing ---- */

typedef struct {
    const float *from; /* an output's numbers lie `apart` from the next one's, and each of them `beside` from the next */
    int64_t outputs, inputs, apart, beside;
    int8_t *weights; /* as in Matrix */
    float *scales, *sums;
} Packing;

/* Sixty-four outputs, or the last few; where there is none, zeros have been put. */
VECTOR static void pack(void *job, int64_t block) {
    const Packing *p = job;
    int64_t depth = (p->inputs + 3) / 4, start = block * WIDE, count = p->outputs - start < WIDE ? p->outputs - start : WIDE;
    int8_t *weights = p->weights + start * depth * 4;
    const float *from = p->from + start * p->apart;
    float most[WIDE] = {0};
    int32_t sums[WIDE] = {0};
    for (int64_t i = 0; i < p->inputs; i++) {
        const float *x = from + i * p->beside;
        for (int64_t n = 0; n < count; n++) {
            float size = __builtin_fabsf(x[n * p->apart]);
            most[n] = size > most[n] ? size : most[n];
        }
    }
    for (int64_t n = 0; n < count; n++) {
        p->scales[start + n] = (most[n] > 1e-30f ? most[n] : 1e-30f) / 127.0f;
        most[n] = 1.0f / p->scales[start + n];
    }
    for (int64_t i = 0; i < p->inputs; i++) {
        const float *x = from + i * p->beside;
        for (int64_t n = 0; n < count; n++) {
            int32_t whole = (int32_t)__builtin_rintf(x[n * p->apart] * most[n]);
            weights[i / 4 * 256 + n * 4 + i % 4] = (int8_t)whole;
            sums[n] += whole;
        }
    }
    for (int64_t n = 0; n < count; n++) p->sums[start + n] = (float)sums[n] * p->scales[start + n];
}

void mynah_pack(Packing *packing) { share(pack, packing, (packing->outputs + WIDE - 1) / WIDE); }

/* ---- attention ---- */

typedef struct {
    const float *q, *k, *v;   /* [rows][heads][width], [rows][key_heads][width] twice */
    uint16_t *keys, *values;  /* [slots][key_heads][room][width], 16-bit floats */
    const int64_t *slots, *lengths; /* of each row: where its cache lies, and how many tokens are in it */
    float *out;               /* [rows][heads][width] */
    float *shares;            /* [rows * key_heads][room] */
    int64_t heads, key_heads, width, room, q_stride, k_stride, v_stride;
} Attention;

/* e to the power of x <= 0, to about a unit in the last place: 2^n times a polynomial (minimax, degree 6) of the rest. */
VECTOR static inline __m512 power(__m512 x) {
    x = _mm512_max_ps(x, _mm512_set1_ps(-87.0f));
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
    __m512 y = _mm512_set1_ps(1.9875691500e-4f);
    y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.3981999507e-3f));
    y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(8.3334519073e-3f));
    y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(4.1665795894e-2f));
    y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.6666665459e-1f));
    y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(5.0000001201e-1f));
    y = _mm512_fmadd_ps(y, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
    return _mm512_scalef_ps(y, n);
}

/* The queries of one row that share a head of keys. */
VECTOR static void attend(void *job, int64_t part) {
    const Attention *a = job;
    int64_t row = part / a->key_heads, head = part % a->key_heads, width = a->width, known = a->lengths[row] + 1;
    int64_t place = (a->slots[row] * a->key_heads + head) * a->room * width;
    uint16_t *keys = a->keys + place, *values = a->values + place;
    float *shares = a->shares + part * a->room;
    for (int64_t i = 0; i < width; i += 16) {
        __mmask16 which = first(width - i);
        __m512 key = _mm512_maskz_loadu_ps(which, a->k + row * a->k_stride + head * width + i);
        __m512 value = _mm512_maskz_loadu_ps(which, a->v + row * a->v_stride + head * width + i);
        _mm256_mask_storeu_epi16(keys + (known - 1) * width + i, which, _mm512_cvtps_ph(key, _MM_FROUND_TO_NEAREST_INT));
        _mm256_mask_storeu_epi16(values + (known - 1) * width + i, which, _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
    }
    float scale = 1.0f / __builtin_sqrtf((float)width);
    int64_t together = a->heads / a->key_heads;
    for (int64_t h = head * together; h < (head + 1) * together; h++) {
        const float *q = a->q + row * a->q_stride + h * width;
        float *out = a->out + (row * a->heads + h) * width, highest = -3e38f, total = 0;
        for (int64_t t = 0; t < known; t++) {
            __m512 sum = _mm512_setzero_ps();
            for (int64_t i = 0; i < width; i += 16) {
                __mmask16 which = first(width - i);
                sum = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(which, q + i), halves(keys + t * width + i, which), sum);
            }
            shares[t] = _mm512_reduce_add_ps(sum) * scale;
            if (shares[t] > highest) highest = shares[t];
        }
        for (int64_t t = 0; t < known; t += 16) {
            __mmask16 which = first(known - t);
            __m512 y = power(_mm512_sub_ps(_mm512_maskz_loadu_ps(which, shares + t), _mm512_set1_ps(highest)));
            _mm512_mask_storeu_ps(shares + t, which, y);
            total += _mm512_mask_reduce_add_ps(which, y);
        }
        for (int64_t i = 0; i < width; i += 16) {
            __mmask16 which = first(width - i);
            __m512 sum = _mm512_setzero_ps();
            for (int64_t t = 0; t < known; t++) {
                sum = _mm512_fmadd_ps(_mm512_set1_ps(shares[t]), halves(values + t * width + i, which), sum);
            }
            _mm512_mask_storeu_ps(out + i, which, _mm512_mul_ps(sum, _mm512_set1_ps(1.0f / total)));
        }
    }
}

int mynah_attend(Attention *a, int64_t rows) {
    a->shares = scratch(0, rows * a->key_heads * a->room * 4);
    if (!a->shares) return 1;
    share(attend, a, rows * a->key_heads);
    return 0;
}

/* To each row [width] of embeddings: the product of the pair, whose second matrix has a row for each token. */
VECTOR void mynah_embed(const Pair *pairs, const int64_t *tokens, float *rows, int64_t count, int64_t width) {
    for (int64_t row = 0; row < count; row++) {
        const Pair *pair = pairs + row;
        for (int64_t i = 0; i < width; i += 16) {
            __mmask16 which = first(width - i);
            __m512 sum = _mm512_maskz_loadu_ps(which, rows + row * width + i);
            for (int64_t r = 0; r < pair->rank; r++) {
                __m512 share = _mm512_set1_ps(_cvtsh_ss(pair->b[tokens[row] * pair->rank + r]));
                sum = _mm512_fmadd_ps(share, halves(pair->a + r * width + i, which), sum);
            }
            _mm512_mask_storeu_ps(rows + row * width + i, which, sum);
        }
    }
}

/* ---- norms and activations ---- */

/* y [rows][width]: each row of x without its mean, by its deviation, times the weights, plus the bias; without a bias its mean stays. */
VECTOR void mynah_norm(const float *x, const float *weight, const float *bias, float *y, int64_t rows, int64_t width, float epsilon) {
    for (int64_t row = 0; row < rows; row++, x += width, y += width) {
        __m512 sum = _mm512_setzero_ps(), squares = _mm512_setzero_ps();
        for (int64_t i = 0; bias && i < width; i += 16) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(first(width - i), x + i));
        __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / (float)width);
        for (int64_t i = 0; i < width; i += 16) {
            __mmask16 which = first(width - i);
            __m512 off = _mm512_maskz_sub_ps(which, _mm512_maskz_loadu_ps(which, x + i), mean);
            squares = _mm512_fmadd_ps(off, off, squares);
        }
        __m512 per = _mm512_set1_ps(1.0f / __builtin_sqrtf(_mm512_reduce_add_ps(squares) / (float)width + epsilon));
        for (int64_t i = 0; i < width; i += 16) {
            __mmask16 which = first(width - i);
            __m512 off = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(which, x + i), mean), per);
            __m512 added = bias ? _mm512_maskz_loadu_ps(which, bias + i) : _mm512_setzero_ps();
            _mm512_mask_storeu_ps(y + i, which, _mm512_fmadd_ps(off, _mm512_maskz_loadu_ps(which, weight + i), added));
        }
    }
}

enum { RELU, GELU, SILU };

typedef struct {
    float *x;
    int64_t count;
    int which;
} Activation;

/* x times the logistic function of z. GELU in its approximation by tanh is that too: (1 + tanh u) / 2 is the logistic function of 2 u. */
VECTOR static inline __m512 gated(__m512 x, __m512 z) {
    __m512 small = power(_mm512_sub_ps(_mm512_setzero_ps(), _mm512_abs_ps(z))), one = _mm512_set1_ps(1.0f);
    __m512 above = _mm512_mask_blend_ps(_mm512_cmp_ps_mask(z, _mm512_setzero_ps(), _CMP_LT_OQ), one, small);
    return _mm512_div_ps(_mm512_mul_ps(x, above), _mm512_add_ps(one, small));
}

VECTOR static void activate(void *job, int64_t part) {
    const Activation *a = job;
    int64_t end = (part + 1) * ACTIVATED < a->count ? (part + 1) * ACTIVATED : a->count;
    for (int64_t i = part * ACTIVATED; i < end; i += 16) {
        __mmask16 which = first(end - i);
        __m512 x = _mm512_maskz_loadu_ps(which, a->x + i), y;
        if (a->which == RELU) y = _mm512_max_ps(x, _mm512_setzero_ps());
        else if (a->which == SILU) y = gated(x, x);
        else {
            __m512 cube = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_mul_ps(x, x), x), _mm512_set1_ps(0.044715f), x);
            y = gated(x, _mm512_mul_ps(cube, _mm512_set1_ps(1.5957691216f))); /* twice the root of 2 / pi */
        }
        _mm512_mask_storeu_ps(a->x + i, which, y);
    }
}

/* In place. */
void mynah_activate(int which, float *x, int64_t count) {
    Activation a = {.x = x, .count = count, .which = which};
    share(activate, &a, (count + ACTIVATED - 1) / ACTIVATED);
}

int mynah_supported(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}
#else
int mynah_supported(void) { return 0; }
#endif
