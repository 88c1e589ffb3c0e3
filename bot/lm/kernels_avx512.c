/* The steps of speaking for processors with AVX-512 VNNI: sixteen numbers in a register, and products of bytes in one instruction. */

#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels.h"

#define STEPS mynah_avx512
#define VECTOR __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,f16c,fma")))
#define FOUR 4
#define MOST_ROWS 6
#define AHEAD 2048 /* bytes that are fetched before they are needed */

typedef __m512 Sixteen;
typedef __mmask16 First;

static inline First first(int64_t count) { return count >= 16 ? 0xffff : (First)((1u << count) - 1); }

VECTOR static inline Sixteen zeros(void) { return _mm512_setzero_ps(); }
VECTOR static inline Sixteen every(float x) { return _mm512_set1_ps(x); }
VECTOR static inline Sixteen load(const float *at, First which) { return _mm512_maskz_loadu_ps(which, at); }
VECTOR static inline void store(float *at, First which, Sixteen v) { _mm512_mask_storeu_ps(at, which, v); }
VECTOR static inline Sixteen halves(const uint16_t *at, First which) { return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(which, at)); }
VECTOR static inline void store_halves(uint16_t *at, First which, Sixteen v) {
    _mm256_mask_storeu_epi16(at, which, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
VECTOR static inline Sixteen kept(First which, Sixteen v) { return _mm512_maskz_mov_ps(which, v); }
VECTOR static inline Sixteen plus(Sixteen a, Sixteen b) { return _mm512_add_ps(a, b); }
VECTOR static inline Sixteen minus(Sixteen a, Sixteen b) { return _mm512_sub_ps(a, b); }
VECTOR static inline Sixteen times(Sixteen a, Sixteen b) { return _mm512_mul_ps(a, b); }
VECTOR static inline Sixteen over(Sixteen a, Sixteen b) { return _mm512_div_ps(a, b); }
VECTOR static inline Sixteen larger(Sixteen a, Sixteen b) { return _mm512_max_ps(a, b); }
VECTOR static inline Sixteen fused(Sixteen a, Sixteen b, Sixteen c) { return _mm512_fmadd_ps(a, b, c); }
VECTOR static inline Sixteen less(Sixteen a, Sixteen b, Sixteen c) { return _mm512_fnmadd_ps(a, b, c); }
VECTOR static inline Sixteen size_of(Sixteen v) { return _mm512_abs_ps(v); }
VECTOR static inline Sixteen nearest(Sixteen v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
VECTOR static inline Sixteen doubled(Sixteen v, Sixteen n) { return _mm512_scalef_ps(v, n); }
VECTOR static inline Sixteen if_negative(Sixteen z, Sixteen a, Sixteen b) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(z, _mm512_setzero_ps(), _CMP_LT_OQ), b, a);
}
VECTOR static inline Sixteen from_whole(const int32_t *at) { return _mm512_cvtepi32_ps(_mm512_loadu_si512(at)); }
VECTOR static inline __m256 halved(Sixteen v) {
    return _mm256_add_ps(_mm512_castps512_ps256(v), _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1)));
}

VECTOR static inline __attribute__((always_inline)) Sixteen sums(const Sixteen *v) {
    Sixteen half[8], four[4];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) { /* of i % 4 and i % 4 + 4, or of i % 4 + 8 and i % 4 + 12 */
        Sixteen a = v[i % 4 + i / 4 * 8], b = v[i % 4 + i / 4 * 8 + 4];
        half[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        four[i] = _mm512_add_ps(_mm512_shuffle_f32x4(half[i], half[i + 4], 0x88), _mm512_shuffle_f32x4(half[i], half[i + 4], 0xdd));
    __m512d low = _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(four[0], four[1]), _mm512_unpackhi_ps(four[0], four[1])));
    __m512d high = _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(four[2], four[3]), _mm512_unpackhi_ps(four[2], four[3])));
    return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(low, high)), _mm512_castpd_ps(_mm512_unpackhi_pd(low, high)));
}

VECTOR static inline void put_bytes(uint8_t *at, Sixteen v, int64_t count) {
    _mm_mask_storeu_epi8(at, first((count + 3) & ~3), _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(v)));
}

VECTOR static inline __m512i four(const uint8_t *bytes) {
    int32_t together;
    __builtin_memcpy(&together, bytes, 4);
    return _mm512_set1_epi32(together);
}

/* The number of rows is known where this is inlined, so that the sums stay in registers. */
VECTOR static inline __attribute__((always_inline)) void multiply_rows(
    const int8_t *weights, const uint8_t *x, int64_t depth, const int rows, int32_t (*done)[WIDE]
) {
    __m512i sums[MOST_ROWS][4];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) sums[r][0] = sums[r][1] = sums[r][2] = sums[r][3] = _mm512_setzero_si512();
    for (int64_t k = 0; k < depth; k++) {
        const int8_t *w = weights + k * 256;
        for (int n = 0; n < 4; n++) _mm_prefetch((const char *)w + AHEAD + 64 * n, _MM_HINT_T0);
        __m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + 64), w2 = _mm512_load_si512(w + 128), w3 = _mm512_load_si512(w + 192);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            __m512i input = four(x + (r * depth + k) * FOUR);
            sums[r][0] = _mm512_dpbusd_epi32(sums[r][0], input, w0);
            sums[r][1] = _mm512_dpbusd_epi32(sums[r][1], input, w1);
            sums[r][2] = _mm512_dpbusd_epi32(sums[r][2], input, w2);
            sums[r][3] = _mm512_dpbusd_epi32(sums[r][3], input, w3);
#pragma GCC unroll 4 /* or the sums are copied to and fro in every step */
            for (int n = 0; n < 4; n++) __asm__ volatile("" : "+v"(sums[r][n]));
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int n = 0; n < 4; n++) _mm512_store_si512(done[r] + 16 * n, sums[r][n]);
}

VECTOR static void multiply_bytes(const int8_t *weights, const uint8_t *x, int64_t depth, int64_t rows, int32_t (*done)[WIDE]) {
    switch (rows) {
        case 1: multiply_rows(weights, x, depth, 1, done); break;
        case 2: multiply_rows(weights, x, depth, 2, done); break;
        case 3: multiply_rows(weights, x, depth, 3, done); break;
        case 4: multiply_rows(weights, x, depth, 4, done); break;
        case 5: multiply_rows(weights, x, depth, 5, done); break;
        default: multiply_rows(weights, x, depth, 6, done); break;
    }
}

#include "kernels_steps.h"
#endif
