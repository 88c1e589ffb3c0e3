/* What `kernels.c` and the steps of each level (`kernels_avx2.c`, `kernels_avx512.c`) share. */

#ifndef MYNAH_KERNELS_H
#define MYNAH_KERNELS_H

#include <stdint.h>

#define WIDE 64 /* outputs side by side in the packed weights */
#define MOST_FOUR 8 /* bytes that four inputs take at most, see FOUR of each level */
#define ACTIVATED 8192 /* numbers that one thread activates at once */

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
    int64_t rows, depth, most_rank; /* depth: inputs / 4, rounded up */
    uint8_t *whole;                 /* [rows][depth][FOUR]: the inputs as bytes, in the order of the level */
    float *low, *step, *inner;      /* [rows], [rows], [rows][most_rank] */
} Product;

typedef struct {
    const float *from; /* an output's numbers lie `apart` from the next one's, and each of them `beside` from the next */
    int64_t outputs, inputs, apart, beside;
    int8_t *weights; /* as in Matrix */
    float *scales, *sums;
} Packing;

typedef struct {
    const float *q, *k, *v;   /* [rows][heads][width], [rows][key_heads][width] twice */
    uint16_t *keys, *values;  /* [slots][key_heads][room][width], 16-bit floats */
    const int64_t *slots, *lengths; /* of each row: where its cache lies, and how many tokens are in it */
    float *out;               /* [rows][heads][width] */
    float *shares;            /* [rows * key_heads][room] */
    int64_t heads, key_heads, width, room, q_stride, k_stride, v_stride;
} Attention;

enum { RELU, GELU, SILU };

typedef struct {
    float *x;
    int64_t count;
    int which;
} Activation;

typedef void (*Work)(void *job, int64_t part);

/* The steps as a level does them; all levels give the same numbers, to the last bit. */
typedef struct {
    Work take_in, multiply; /* parts of a Product: one row; sixty-four outputs of every row */
    Work pack;              /* a Packing: sixty-four outputs */
    Work attend;            /* an Attention: the queries of one row that share a head of keys */
    Work activate;          /* an Activation: ACTIVATED numbers */
    void (*embed)(const Pair *pairs, const int64_t *tokens, float *rows, int64_t count, int64_t width);
    void (*norm)(const float *x, const float *weight, const float *bias, float *y, int64_t rows, int64_t width, float epsilon);
} Steps;

#endif
