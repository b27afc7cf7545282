// readers BUNDLE...: for each bundle a line, "read" or why it or its only
// recipe is refused. For the tests.
#include <clipspect/bundle.hpp>
#include <cstdio>

int main(int count, char** words) {
    for (int i = 1; i < count; ++i) {
        try {
            static_cast<void>(clipspect::Bundle(words[i]).recipe());
            std::puts("read");
        } catch (const clipspect::Error& error) {
            std::puts(error.what());
        }
    }
    return 0;
}
