// How numbers and names are spelt on the screen.
// All texts use these functions, so a number looks the same everywhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lastrow::view {

/// Three significant digits, with a real minus sign: "0.382", "−12.5", "0.00031", "NaN", "∞".
std::string number(double x);
/// Two significant digits, for changes: "0.38".
std::string rough(double x);
/// "8", "12,345", "1.23 M", "4.5 G".
std::string count(int64_t n);
/// "0 B", "640 B", "1.25 KiB", "3.4 MiB".
std::string bytes(int64_t n);
/// "0.3 ms", "12 µs".
std::string duration_us(double us);
/// without / with: "8×", "1.3×", "1×"; "—" if either is 0.
std::string ratio(double with, double without);
/// "1 row", "8 rows".
std::string plural(int64_t n, std::string_view noun);
/// "3", "3–7".
std::string range(int64_t first, int64_t last);
/// "3", "0–2, 5": numbers in any order, each once.
std::string ranges(std::vector<int> numbers);
/// The text of a token as a label: without spaces at its ends; "␣" if it is only spaces, "∅" if it is empty.
std::string label(std::string_view token_text);
/// “fox”
std::string in_quotes(std::string_view text);

}  // namespace lastrow::view
