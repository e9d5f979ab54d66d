/* main() for a fuzz target without libFuzzer: every file of the command line
 * goes through it once, whole and cut at every length. */
#include "target.h"

#define MOST (1u << 20)

static size_t
read_file(const char *path, uint8_t *into)
{
    FILE *file = fopen(path, "rb");
    size_t size;
    MUST(file != NULL);
    size = fread(into, 1, MOST, file);
    MUST(ferror(file) == 0);
    fclose(file);
    return size;
}

/* A block of exactly this size, so that the sanitizer sees its end. */
static void
run(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    MUST(exact != NULL);
    for (size_t i = 0; i < size; i++) {
        exact[i] = data[i];
    }
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

int
main(int n, char **paths)
{
    uint8_t *data = malloc(MOST);
    MUST(data != NULL);
    for (int i = 1; i < n; i++) {
        size_t size = read_file(paths[i], data);
        size_t step = size / 64 + 1;
        for (size_t cut = 0; cut < size; cut += step) {
            run(data, cut);
        }
        run(data, size);
    }
    free(data);
    printf("%d files\n", n - 1);
    return n < 2;
}
