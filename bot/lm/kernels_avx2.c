/* The steps of speaking for processors with AVX2: two registers for sixteen numbers, and products of bytes by way of 16 bits. */

#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels.h"

#define STEPS mynah_avx2
#define VECTOR __attribute__((target("avx2,f16c,fma")))
#define FOUR 8 /* four times the lower half of a byte, then four times the higher one */
#define MOST_ROWS 3
#define AHEAD 2048 /* bytes that are fetched before they are needed */
#define TOGETHER 8 /* steps whose sums fit into 16 bits: 8 * 2 * 15 * 127 = 30,480 */

typedef struct { __m256 low, high; } Sixteen;
typedef int64_t First;

static inline First first(int64_t count) { return count; }

/* Marks so many of eight. */
VECTOR static inline __m256i marks(int64_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

VECTOR static inline Sixteen zeros(void) { return (Sixteen){_mm256_setzero_ps(), _mm256_setzero_ps()}; }
VECTOR static inline Sixteen every(float x) { return (Sixteen){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
VECTOR static inline Sixteen load(const float *at, First which) {
    if (which >= 16) return (Sixteen){_mm256_loadu_ps(at), _mm256_loadu_ps(at + 8)};
    return (Sixteen){_mm256_maskload_ps(at, marks(which)), _mm256_maskload_ps(at + 8, marks(which - 8))};
}
VECTOR static inline void store(float *at, First which, Sixteen v) {
    if (which >= 16) {
        _mm256_storeu_ps(at, v.low);
        _mm256_storeu_ps(at + 8, v.high);
    } else {
        _mm256_maskstore_ps(at, marks(which), v.low);
        _mm256_maskstore_ps(at + 8, marks(which - 8), v.high);
    }
}
VECTOR static inline Sixteen halves(const uint16_t *at, First which) {
    uint16_t some[16] = {0};
    if (which < 16) {
        for (int64_t i = 0; i < which; i++) some[i] = at[i];
        at = some;
    }
    return (Sixteen){_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)at)), _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(at + 8)))};
}
VECTOR static inline void store_halves(uint16_t *at, First which, Sixteen v) {
    uint16_t some[16], *to = which < 16 ? some : at;
    _mm_storeu_si128((__m128i *)to, _mm256_cvtps_ph(v.low, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128((__m128i *)(to + 8), _mm256_cvtps_ph(v.high, _MM_FROUND_TO_NEAREST_INT));
    for (int64_t i = 0; which < 16 && i < which; i++) at[i] = some[i];
}
VECTOR static inline Sixteen kept(First which, Sixteen v) {
    if (which >= 16) return v;
    return (Sixteen){
        _mm256_and_ps(v.low, _mm256_castsi256_ps(marks(which))), _mm256_and_ps(v.high, _mm256_castsi256_ps(marks(which - 8))),
    };
}
VECTOR static inline Sixteen plus(Sixteen a, Sixteen b) { return (Sixteen){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
VECTOR static inline Sixteen minus(Sixteen a, Sixteen b) { return (Sixteen){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
VECTOR static inline Sixteen times(Sixteen a, Sixteen b) { return (Sixteen){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
VECTOR static inline Sixteen over(Sixteen a, Sixteen b) { return (Sixteen){_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
VECTOR static inline Sixteen larger(Sixteen a, Sixteen b) { return (Sixteen){_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
VECTOR static inline Sixteen fused(Sixteen a, Sixteen b, Sixteen c) {
    return (Sixteen){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
VECTOR static inline Sixteen less(Sixteen a, Sixteen b, Sixteen c) {
    return (Sixteen){_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)};
}
VECTOR static inline Sixteen size_of(Sixteen v) {
    __m256 sign = _mm256_set1_ps(-0.0f);
    return (Sixteen){_mm256_andnot_ps(sign, v.low), _mm256_andnot_ps(sign, v.high)};
}
VECTOR static inline Sixteen nearest(Sixteen v) {
    const int how = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return (Sixteen){_mm256_round_ps(v.low, how), _mm256_round_ps(v.high, how)};
}
VECTOR static inline __m256 power_of_two(__m256 n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}
VECTOR static inline Sixteen doubled(Sixteen v, Sixteen n) { return times(v, (Sixteen){power_of_two(n.low), power_of_two(n.high)}); }
VECTOR static inline Sixteen if_negative(Sixteen z, Sixteen a, Sixteen b) {
    __m256 zero = _mm256_setzero_ps(), low = _mm256_cmp_ps(z.low, zero, _CMP_LT_OQ), high = _mm256_cmp_ps(z.high, zero, _CMP_LT_OQ);
    return (Sixteen){_mm256_blendv_ps(b.low, a.low, low), _mm256_blendv_ps(b.high, a.high, high)};
}
VECTOR static inline Sixteen from_whole(const int32_t *at) {
    const __m256i *eights = (const __m256i *)at;
    return (Sixteen){_mm256_cvtepi32_ps(_mm256_loadu_si256(eights)), _mm256_cvtepi32_ps(_mm256_loadu_si256(eights + 1))};
}
VECTOR static inline __m256 halved(Sixteen v) { return _mm256_add_ps(v.low, v.high); }

/* The sums of eight vectors, side by side. */
VECTOR static inline __attribute__((always_inline)) __m256 eight_sums(const Sixteen *v) {
    __m256 four[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        __m256 a = halved(v[i]), b = halved(v[i + 4]);
        four[i] = _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
    }
    __m256d low = _mm256_castps_pd(_mm256_add_ps(_mm256_unpacklo_ps(four[0], four[1]), _mm256_unpackhi_ps(four[0], four[1])));
    __m256d high = _mm256_castps_pd(_mm256_add_ps(_mm256_unpacklo_ps(four[2], four[3]), _mm256_unpackhi_ps(four[2], four[3])));
    return _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(low, high)), _mm256_castpd_ps(_mm256_unpackhi_pd(low, high)));
}
VECTOR static inline __attribute__((always_inline)) Sixteen sums(const Sixteen *v) { return (Sixteen){eight_sums(v), eight_sums(v + 8)}; }

VECTOR static inline void put_bytes(uint8_t *at, Sixteen v, int64_t count) {
    __m256i words = _mm256_packus_epi32(_mm256_cvtps_epi32(v.low), _mm256_cvtps_epi32(v.high)); /* in the order 0-3 8-11 4-7 12-15 */
    words = _mm256_permute4x64_epi64(words, 0xd8);
    __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)), lowest = _mm_set1_epi8(15);
    __m128i low = _mm_and_si128(bytes, lowest), high = _mm_and_si128(_mm_srli_epi16(bytes, 4), lowest);
    __m128i all[2] = {_mm_unpacklo_epi32(low, high), _mm_unpackhi_epi32(low, high)};
    int64_t fours = (count + 3) / 4;
    __builtin_memcpy(at, all, (size_t)(fours < 4 ? fours * FOUR : 4 * FOUR));
}

VECTOR static inline __m256i four(const uint8_t *bytes) {
    int32_t together;
    __builtin_memcpy(&together, bytes, 4);
    return _mm256_set1_epi32(together);
}

/* `eights` times eight outputs at once; the numbers are known where this is inlined, so that the sums stay in registers. */
VECTOR static inline __attribute__((always_inline)) void multiply_rows(
    const int8_t *weights, const uint8_t *x, int64_t depth, const int rows, const int eights, int32_t (*done)[WIDE]
) {
    __builtin_memset(done, 0, (size_t)rows * sizeof *done);
    for (int64_t start = 0; start < depth; start += TOGETHER) {
        int64_t end = start + TOGETHER < depth ? start + TOGETHER : depth;
        for (int at = 0; at < WIDE; at += 8 * eights) {
            __m256i low[MOST_ROWS][4], high[MOST_ROWS][4]; /* sums of pairs, 16 bits wide */
#pragma GCC unroll 3
            for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
                for (int n = 0; n < eights; n++) low[r][n] = high[r][n] = _mm256_setzero_si256();
            for (int64_t k = start; k < end; k++) {
                const int8_t *w = weights + k * 256 + at * 4;
                for (int n = 0; n < eights; n += 2) _mm_prefetch((const char *)w + AHEAD + 32 * n, _MM_HINT_T0);
                __m256i eight[4];
#pragma GCC unroll 4
                for (int n = 0; n < eights; n++) eight[n] = _mm256_load_si256((const __m256i *)(w + 32 * n));
#pragma GCC unroll 3
                for (int r = 0; r < rows; r++) {
                    const uint8_t *input = x + (r * depth + k) * FOUR;
                    __m256i lower = four(input), higher = four(input + 4);
#pragma GCC unroll 4
                    for (int n = 0; n < eights; n++) low[r][n] = _mm256_add_epi16(low[r][n], _mm256_maddubs_epi16(lower, eight[n]));
#pragma GCC unroll 4
                    for (int n = 0; n < eights; n++) high[r][n] = _mm256_add_epi16(high[r][n], _mm256_maddubs_epi16(higher, eight[n]));
#pragma GCC unroll 4 /* a row after the other: for all products at once there are not enough registers */
                    for (int n = 0; n < eights; n++) __asm__ volatile("" : "+x"(low[r][n]), "+x"(high[r][n]));
                }
            }
#pragma GCC unroll 3
            for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
                for (int n = 0; n < eights; n++) {
                    __m256i *sum = (__m256i *)(done[r] + at + 8 * n);
                    __m256i lower = _mm256_madd_epi16(low[r][n], _mm256_set1_epi16(1));
                    __m256i higher = _mm256_madd_epi16(high[r][n], _mm256_set1_epi16(16));
                    _mm256_store_si256(sum, _mm256_add_epi32(_mm256_load_si256(sum), _mm256_add_epi32(lower, higher)));
                }
        }
    }
}

VECTOR static void multiply_bytes(const int8_t *weights, const uint8_t *x, int64_t depth, int64_t rows, int32_t (*done)[WIDE]) {
    switch (rows) {
        case 1: multiply_rows(weights, x, depth, 1, 4, done); break;
        case 2: multiply_rows(weights, x, depth, 2, 2, done); break;
        default: multiply_rows(weights, x, depth, 3, 2, done); break;
    }
}

#include "kernels_steps.h"
#endif
