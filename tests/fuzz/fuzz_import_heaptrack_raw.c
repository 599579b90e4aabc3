/* libFuzzer: the importer of heaptrack's raw data, on any bytes. */
#include "tests/fuzz/fuzz_import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return fuzz_import(hakt_import_heaptrack_raw, data, size);
}
