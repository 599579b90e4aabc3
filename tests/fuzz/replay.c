/* Runs a fuzz target once on each file that is named: the stored inputs, without libFuzzer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (f == NULL || fseek(f, 0, SEEK_END) != 0) {
            perror(argv[i]);
            return 1;
        }
        size_t size = (size_t)ftell(f);
        uint8_t *data = malloc(size + 1);
        rewind(f);
        if (data == NULL || fread(data, 1, size, f) != size) {
            perror(argv[i]);
            return 1;
        }
        fclose(f);
        fprintf(stderr, "%s\n", argv[i]); /* the last one named is the one that fails */
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
    return 0;
}
