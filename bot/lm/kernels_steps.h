/* The steps of speaking (see `kernels.c`), compiled once for each level, which says first how it does these with sixteen numbers at a time:

   FOUR            bytes that four inputs take in Product.whole
   MOST_ROWS       whose sums are in registers at once
   VECTOR          what marks a function that uses the level's instructions
   STEPS           the name of its Steps
   Sixteen, First  sixteen floats; the first so many of them, as first(count) marks them

   zeros() · every(x) · load(at, first) · store(at, first, v) · kept(first, v): zeros behind them
   halves(at, first) · store_halves(at, first, v): as 16-bit floats
   plus, minus, times, over, larger (a, b) · fused(a, b, c): a * b + c · less(a, b, c): c - a * b, both rounded once
   size_of(v) · nearest(v): whole numbers · doubled(v, n): v * 2^n, n whole, from -126 to 0 · if_negative(z, a, b)
   halved(v): the sum of its halves · sums(v): those of sixteen vectors, side by side, each in the order of sum_of
   from_whole(at): of integers · put_bytes(at, v, count): so many of sixteen inputs, from 0 to 255, as bytes
   multiply_bytes(weights, x, depth, rows, done): sixty-four sums for each row

   No product is joined to a sum by the compiler (-ffp-contract=off): all levels round alike. */

VECTOR static inline float sum_of(Sixteen v) {
    __m256 half = halved(v);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* ---- a linear layer ---- */

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
    uint8_t *whole = p->whole + row * p->depth * FOUR;
    for (int64_t i = 0; i < inputs; i += 16) /* what follows the last input meets weights of zero */
        put_bytes(whole + i / 4 * FOUR, times(minus(load(x + i, first(inputs - i)), every(low)), every(per)), inputs - i);
    p->low[row] = low;
    p->step[row] = width / 255.0f;
    if (!p->pairs) return;
    const Pair *pair = p->pairs + row;
    float *inner = p->inner + row * p->most_rank;
    int64_t r = 0;
    for (; r + 4 <= pair->rank; r += 4) {
        Sixteen sums[4] = {zeros(), zeros(), zeros(), zeros()};
        for (int64_t i = 0; i < inputs; i += 16) {
            First which = first(inputs - i);
            Sixteen input = load(x + i, which);
            for (int n = 0; n < 4; n++) {
                const uint16_t *a = pair->a + (r + n) * inputs + i;
                if (r + n + 4 < pair->rank) _mm_prefetch((const char *)(a + 4 * inputs), _MM_HINT_T0); /* for the next four */
                sums[n] = fused(halves(a, which), input, sums[n]);
            }
        }
        for (int n = 0; n < 4; n++) inner[r + n] = sum_of(sums[n]);
    }
    for (; r < pair->rank; r++) {
        Sixteen sum = zeros();
        for (int64_t i = 0; i < inputs; i += 16) {
            First which = first(inputs - i);
            sum = fused(halves(pair->a + r * inputs + i, which), load(x + i, which), sum);
        }
        inner[r] = sum_of(sum);
    }
}

/* What a pair adds to sixteen outputs, or to the last few. */
VECTOR static inline Sixteen added(const Pair *pair, const float *inner, int64_t at, int64_t count) {
    Sixteen products[16];
#pragma GCC unroll 16
    for (int n = 0; n < 16; n++) products[n] = zeros();
    for (int64_t r = 0; r < pair->rank; r += 16) {
        First which = first(pair->rank - r);
        Sixteen input = load(inner + r, which);
        const uint16_t *b = pair->b + at * pair->rank + r;
#pragma GCC unroll 16
        for (int n = 0; n < 16; n++) products[n] = fused(halves(b + (n < count ? n : 0) * pair->rank, which), input, products[n]);
    }
    return sums(products);
}

/* Sixteen outputs of a row, from the sums of bytes. */
VECTOR static inline void put_out(const Product *p, int64_t row, int64_t at, const int32_t *done) {
    const Matrix *m = p->matrix;
    int64_t left = m->outputs - at;
    if (left <= 0) return;
    First which = first(left), all = first(16);
    Sixteen y = times(from_whole(done), times(every(p->step[row]), load(m->scales + at, all)));
    y = plus(fused(every(p->low[row]), load(m->sums + at, all), y), load(m->bias + at, all));
    if (p->pairs) {
        const Pair *pair = p->pairs + row;
        if (pair->rank) y = plus(y, added(pair, p->inner + row * p->most_rank, at, left < 16 ? left : 16));
        if (pair->bias) y = plus(y, halves(pair->bias + at, which));
    }
    store(p->y + row * m->outputs + at, which, y);
}

/* Sixty-four outputs of every row. */
VECTOR static void multiply(void *job, int64_t block) {
    const Product *p = job;
    const int8_t *weights = p->matrix->weights + block * WIDE * p->depth * 4;
    int32_t done[MOST_ROWS][WIDE] __attribute__((aligned(64)));
    for (int64_t row = 0; row < p->rows;) {
        int64_t left = p->rows - row, rounds = (left + MOST_ROWS - 1) / MOST_ROWS, count = (left + rounds - 1) / rounds;
        for (int64_t r = 0; r < count && p->pairs; r++) { /* on its way while the bytes are multiplied */
            const Pair *pair = p->pairs + row + r;
            const char *b = (const char *)(pair->b + block * WIDE * pair->rank);
            for (int64_t at = 0; at < WIDE * pair->rank * 2; at += 64) _mm_prefetch(b + at, _MM_HINT_T0);
        }
        multiply_bytes(weights, p->whole + row * p->depth * FOUR, p->depth, count, done);
        for (int64_t r = 0; r < count; r++)
            for (int n = 0; n < WIDE; n += 16) put_out(p, row + r, block * WIDE + n, done[r] + n);
        row += count;
    }
}

/* ---- packing ---- */

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

/* ---- attention ---- */

/* e to the power of x <= 0, to about a unit in the last place: 2^n times a polynomial (minimax, degree 6) of the rest. */
VECTOR static inline Sixteen power(Sixteen x) {
    x = larger(x, every(-87.0f));
    Sixteen n = nearest(times(x, every(1.44269504f)));
    Sixteen r = less(n, every(-2.12194440e-4f), less(n, every(0.693359375f), x));
    Sixteen y = every(1.9875691500e-4f);
    y = fused(y, r, every(1.3981999507e-3f));
    y = fused(y, r, every(8.3334519073e-3f));
    y = fused(y, r, every(4.1665795894e-2f));
    y = fused(y, r, every(1.6666665459e-1f));
    y = fused(y, r, every(5.0000001201e-1f));
    return doubled(fused(y, times(r, r), plus(r, every(1.0f))), n);
}

/* The queries of one row that share a head of keys. */
VECTOR static void attend(void *job, int64_t part) {
    const Attention *a = job;
    int64_t row = part / a->key_heads, head = part % a->key_heads, width = a->width, known = a->lengths[row] + 1;
    int64_t place = (a->slots[row] * a->key_heads + head) * a->room * width;
    uint16_t *keys = a->keys + place, *values = a->values + place;
    float *shares = a->shares + part * a->room;
    for (int64_t i = 0; i < width; i += 16) {
        First which = first(width - i);
        store_halves(keys + (known - 1) * width + i, which, load(a->k + row * a->k_stride + head * width + i, which));
        store_halves(values + (known - 1) * width + i, which, load(a->v + row * a->v_stride + head * width + i, which));
    }
    float scale = 1.0f / __builtin_sqrtf((float)width);
    int64_t together = a->heads / a->key_heads;
    for (int64_t h = head * together; h < (head + 1) * together; h++) {
        const float *q = a->q + row * a->q_stride + h * width;
        float *out = a->out + (row * a->heads + h) * width, highest = -3e38f, total = 0;
        for (int64_t t = 0; t < known; t++) {
            Sixteen sum = zeros();
            for (int64_t i = 0; i < width; i += 16) {
                First which = first(width - i);
                sum = fused(load(q + i, which), halves(keys + t * width + i, which), sum);
            }
            shares[t] = sum_of(sum) * scale;
            if (shares[t] > highest) highest = shares[t];
        }
        for (int64_t t = 0; t < known; t += 16) {
            First which = first(known - t);
            Sixteen y = kept(which, power(minus(load(shares + t, which), every(highest))));
            store(shares + t, which, y);
            total += sum_of(y);
        }
        for (int64_t i = 0; i < width; i += 16) {
            First which = first(width - i);
            Sixteen sum = zeros();
            for (int64_t t = 0; t < known; t++) sum = fused(every(shares[t]), halves(values + t * width + i, which), sum);
            store(out + i, which, times(sum, every(1.0f / total)));
        }
    }
}

/* See mynah_embed. */
VECTOR static void embed(const Pair *pairs, const int64_t *tokens, float *rows, int64_t count, int64_t width) {
    for (int64_t row = 0; row < count; row++) {
        const Pair *pair = pairs + row;
        for (int64_t i = 0; i < width; i += 16) {
            First which = first(width - i);
            Sixteen sum = load(rows + row * width + i, which);
            for (int64_t r = 0; r < pair->rank; r++) {
                Sixteen share = every(_cvtsh_ss(pair->b[tokens[row] * pair->rank + r]));
                sum = fused(share, halves(pair->a + r * width + i, which), sum);
            }
            store(rows + row * width + i, which, sum);
        }
    }
}

/* ---- norms and activations ---- */

/* See mynah_norm. */
VECTOR static void norm(const float *x, const float *weight, const float *bias, float *y, int64_t rows, int64_t width, float epsilon) {
    for (int64_t row = 0; row < rows; row++, x += width, y += width) {
        Sixteen sum = zeros(), squares = zeros();
        for (int64_t i = 0; bias && i < width; i += 16) sum = plus(sum, load(x + i, first(width - i)));
        Sixteen mean = every(sum_of(sum) / (float)width);
        for (int64_t i = 0; i < width; i += 16) {
            First which = first(width - i);
            Sixteen off = kept(which, minus(load(x + i, which), mean));
            squares = fused(off, off, squares);
        }
        Sixteen per = every(1.0f / __builtin_sqrtf(sum_of(squares) / (float)width + epsilon));
        for (int64_t i = 0; i < width; i += 16) {
            First which = first(width - i);
            Sixteen off = times(minus(load(x + i, which), mean), per);
            store(y + i, which, fused(off, load(weight + i, which), bias ? load(bias + i, which) : zeros()));
        }
    }
}

/* x times the logistic function of z. GELU in its approximation by tanh is that too: (1 + tanh u) / 2 is the logistic function of 2 u. */
VECTOR static inline Sixteen gated(Sixteen x, Sixteen z) {
    Sixteen small = power(minus(zeros(), size_of(z))), one = every(1.0f);
    return over(times(x, if_negative(z, small, one)), plus(one, small));
}

VECTOR static void activate(void *job, int64_t part) {
    const Activation *a = job;
    int64_t end = (part + 1) * ACTIVATED < a->count ? (part + 1) * ACTIVATED : a->count;
    for (int64_t i = part * ACTIVATED; i < end; i += 16) {
        First which = first(end - i);
        Sixteen x = load(a->x + i, which), y;
        if (a->which == RELU) y = larger(x, zeros());
        else if (a->which == SILU) y = gated(x, x);
        else {
            Sixteen cube = fused(times(times(x, x), x), every(0.044715f), x);
            y = gated(x, times(cube, every(1.5957691216f))); /* twice the root of 2 / pi */
        }
        store(a->x + i, which, y);
    }
}

const Steps STEPS = {
    .take_in = take_in, .multiply = multiply, .pack = pack, .attend = attend, .activate = activate, .embed = embed, .norm = norm,
};
