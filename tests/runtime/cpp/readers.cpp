// readers [--require-signature PUBLIC.pem] BUNDLE...: for each bundle a line,
// "read" or why it or its only recipe is refused. For the tests.
#include <clipspect/bundle.hpp>
#include <cstdio>
#include <optional>
#include <string>

int main(int count, char** words) {
    const bool with_key = count > 2 && std::string(words[1]) == "--require-signature";
    for (int i = with_key ? 3 : 1; i < count; ++i) {
        try {
            std::optional<clipspect::PublicKey> key;
            if (with_key) key.emplace(words[2]);
            static_cast<void>(clipspect::Bundle(words[i], key).recipe());
            std::puts("read");
        } catch (const clipspect::Error& error) {
            std::puts(error.what());
        }
    }
    return 0;
}
