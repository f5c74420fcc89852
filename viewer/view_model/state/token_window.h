// Which tokens the panes show. Rows and columns are the same tokens, so they never scroll apart. The last row
// decides, so it is always shown: below the others, apart from them if tokens between them are hidden.
//
//   const TokenWindow window = window_of(n_tokens, room, first);
//   for (int slot = 0; slot < window.n_shown(); ++slot) draw(slot, window.position(slot));
//
// A slot is a place on the screen, counted from the top (rows) or from the left (columns). Never use a
// position as a slot: they are the same only if all tokens are shown.
// Invariant: slots are in the order of positions.
#pragma once

#include <algorithm>

namespace lastrow::view {

/// The largest number of rows that are shown at once.
constexpr int kMostRows = 32;
constexpr int kNewest = -1;  // as `first`: follow the newest token

struct TokenWindow {
  int n_tokens = 0;
  int first = 0, n = 0;  // the tokens first … first + n − 1
  bool pinned = false;   // the last token follows them in a slot of its own

  int n_shown() const { return n + (pinned ? 1 : 0); }
  int position(int slot) const { return slot < n ? first + slot : n_tokens - 1; }
  /// −1: the token is not shown.
  int slot(int position) const {
    if (position >= first && position < first + n) return position - first;
    return pinned && position == n_tokens - 1 ? n : -1;
  }
  bool shows(int position) const { return slot(position) >= 0; }
  bool whole() const { return n == n_tokens; }
  /// The largest value that `first` can have. With it the newest tokens are shown.
  int last_first() const { return std::max(0, n_tokens - n - (pinned ? 1 : 0)); }
  bool operator==(const TokenWindow&) const = default;
};

/// room: how many rows fit; first: the first token that is shown, or kNewest.
inline TokenWindow window_of(int n_tokens, int room, int first) {
  const int fit = std::clamp(room, 2, kMostRows);
  if (n_tokens <= fit) return {n_tokens, 0, n_tokens, false};
  TokenWindow window{n_tokens, 0, fit - 1, true};
  window.first = first < 0 ? window.last_first() : std::min(first, window.last_first());
  return window;
}

}  // namespace lastrow::view
