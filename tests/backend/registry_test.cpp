#include "registry/registry.h"

#include <doctest/doctest.h>

#include "core/error.h"

using namespace lastrow;

TEST_CASE("every listed backend can be made under its own name, or says why not") {
  for (const BackendEntry& entry : list_backends()) {
    CAPTURE(entry.name);
    if (entry.usable) {
      CHECK(make_backend(entry.name, 1)->info().name == entry.name);
      CHECK(make_backend(entry.name, 1)->info().description.starts_with(entry.description));
      CHECK(entry.description.find("all cores") == std::string::npos);  // this backend has one thread
      CHECK(entry.why_not.empty());
    } else {
      CHECK_THROWS_WITH_AS(make_backend(entry.name), doctest::Contains(entry.why_not.c_str()), UsageError);
    }
  }
}

TEST_CASE("an unknown backend is refused with the known ones") {
  CHECK_THROWS_WITH_AS(make_backend("numpy"),
                       doctest::Contains("unknown backend 'numpy': use one of eigen, naive, naive-f64"),
                       UsageError);
}

TEST_CASE("the backend has the number of threads that was asked for") {
  CHECK(make_backend("eigen", 3)->info().n_threads == 3);
}
