/* What a machine needs for value and gradient when a person writes the derivative.

   Each function repeats the whole computation `calls` times, and every time takes fresh memory for
   the results, as a function that hands arrays to its caller must. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double x[2] = {0.5, 0.3};

static double sigmoid(double z) { return 1 / (1 + exp(-z)); }

/* Keeps the compiler from taking a repetition out of the loop. */
static void forget(const void *memory) { __asm__ volatile("" : : "r"(memory) : "memory"); }

void worked_example(long calls, long n, const double *W1, const double *b1, const double *W2,
                    const double *b2, double *value, double *dW1, double *db1, double *dW2,
                    double *db2)
{
    (void)n;
    for (long call = 0; call < calls; call++) {
        double *gW1 = malloc(4 * sizeof(double)), *gb1 = malloc(2 * sizeof(double));
        double *gW2 = malloc(2 * sizeof(double)), *gb2 = malloc(sizeof(double));
        double a[2], z = *b2;
        forget(W1);
        for (int i = 0; i < 2; i++) {
            a[i] = sigmoid(W1[2 * i] * x[0] + W1[2 * i + 1] * x[1] + b1[i]);
            z += W2[i] * a[i];
        }
        double y = sigmoid(z), d = y * (1 - y);
        *gb2 = d;
        for (int i = 0; i < 2; i++) {
            gW2[i] = d * a[i];
            gb1[i] = d * W2[i] * a[i] * (1 - a[i]);
            gW1[2 * i] = gb1[i] * x[0];
            gW1[2 * i + 1] = gb1[i] * x[1];
        }
        forget(gW1), forget(gb1), forget(gW2), forget(gb2);
        if (call == calls - 1) {
            *value = y;
            memcpy(dW1, gW1, 4 * sizeof(double));
            memcpy(db1, gb1, 2 * sizeof(double));
            memcpy(dW2, gW2, 2 * sizeof(double));
            *db2 = *gb2;
        }
        free(gW1), free(gb1), free(gW2), free(gb2);
    }
}

void elementwise(long calls, long n, const double *restrict v, double *value,
                 double *restrict gradient)
{
    for (long call = 0; call < calls; call++) {
        double *restrict g = malloc((size_t)n * sizeof(double));
        double total = 0;
        forget(v);
        for (long i = 0; i < n; i++) {
            double square = v[i] * v[i], t = tanh(v[i]), e = exp(-square);
            total += t * e + log1p(square);
            g[i] = (1 - t * t - 2 * v[i] * t) * e + 2 * v[i] / (1 + square);
        }
        forget(g);
        *value = total;
        if (calls == 1)
            memcpy(gradient, g, (size_t)n * sizeof(double));
        free(g);
    }
}
