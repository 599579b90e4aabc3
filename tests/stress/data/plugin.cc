// C++ inside a program that is not: new fails as C++ says although the host has no libstdc++ in sight.
#include <cstdint>
#include <cstdlib>
#include <new>

extern "C" int plugin(void) {
    size_t huge = std::getenv("PATH") ? SIZE_MAX / 2 - 100 : 1;
    if (::operator new(huge, std::nothrow))
        return 1;
    try {
        char *volatile p = new char[huge];
        return p ? 2 : 3;
    } catch (const std::bad_alloc &) {
        return 0;
    }
}
