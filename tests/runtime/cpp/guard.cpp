// guard BUNDLE [BACKEND DEVICE PRECISION]...: for each engine a line, the
// limits by which it judges with the bundle's only recipe, as records say them,
// or why it is refused. For the tests.
#include <clipspect.hpp>
#include <cstdio>
#include <string>

int main(int count, char** words) {
    const clipspect::Bundle bundle(words[1]);
    const clipspect::Recipe recipe = bundle.recipe();
    for (int i = 2; i + 2 < count; i += 3) {
        std::string line;
        try {
            const auto limits = clipspect::limits_in_use(recipe, bundle, {words[i], words[i + 1], words[i + 2]});
            clipspect::detail::append_line(line, {{"limits", clipspect::detail::limits_of(limits)},
                                                  {"said", clipspect::guard_words(recipe, limits)}});
        } catch (const clipspect::RecipeError& error) {
            clipspect::detail::append_line(line, {{"refused", error.what()}});
        }
        std::puts(line.c_str());
    }
    return 0;
}
