// Exceptions, thread_local objects with destructors, containers handed between threads, aligned
// new: exceptions.cc small|full.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

struct alignas(128) wide {
    unsigned char bytes[300];
};

static std::atomic<long> destroyed{0};

struct per_thread {
    std::vector<std::string> words;
    std::unique_ptr<wide> w{new wide};
    ~per_thread()
    {
        destroyed += static_cast<long>(words.size());
    }
};

static thread_local per_thread local;

static int deep(int n, std::string text)
{
    std::vector<std::string> parts(3, text);
    if (n == 0)
        throw std::runtime_error("bottom " + text);
    return deep(n - 1, text + std::to_string(n)) + static_cast<int>(parts.size());
}

static unsigned long work(unsigned id, int rounds)
{
    unsigned long sum = 0;
    std::map<int, std::string> tree;
    std::unordered_map<std::string, std::vector<int>> table;
    for (int i = 0; i < rounds; i++) {
        try {
            sum += static_cast<unsigned long>(deep(i % 20, std::string(i % 300, 'a')));
        } catch (const std::exception &e) {
            sum += std::strlen(e.what());
        }
        local.words.push_back(std::to_string(i * id));
        tree[(i * 7919) % 2003] = std::string(static_cast<size_t>(i) % 700, 'b');
        table[std::to_string(i % 500)].push_back(i);
        auto w = std::make_unique<wide>();
        if (reinterpret_cast<uintptr_t>(w.get()) % 128 != 0)
            std::abort();
        std::memset(w->bytes, i, sizeof w->bytes);
        sum += w->bytes[i % 300];
    }
    try {
        volatile size_t too_much = static_cast<size_t>(-1) / 4;
        std::vector<char> v(too_much + id);
        std::printf("%zu bytes were to be had\n", v.size());
    } catch (const std::exception &) {
        sum++;
    }
    for (auto &e : table)
        sum += std::accumulate(e.second.begin(), e.second.end(), 0ul);
    return sum + tree.size();
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 && !std::strcmp(argv[1], "full") ? 60000 : 2500;
    std::vector<unsigned long> sums(6);
    for (int wave = 0; wave < 3; wave++) {
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < sums.size(); t++)
            threads.emplace_back([&sums, t, rounds] { sums[t] += work(t + 1, rounds); });
        for (auto &t : threads)
            t.join();
    }
    for (unsigned long s : sums)
        std::printf("%lu\n", s);
    std::printf("%ld\n", destroyed.load());
}
