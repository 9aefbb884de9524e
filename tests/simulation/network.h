// Between machines: every message is delayed by chance, and may be lost; a direction may be cut. A machine
// always reaches itself.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "tests/simulation/event_queue.h"
#include "tests/simulation/random.h"

namespace walstitch::simulation {

struct NetworkSettings {
  std::int64_t least_us = 100;  // a message takes from so long
  std::int64_t most_us = 2000;  // to so long
  int late_permille = 10;       // of so many, up to late_us
  std::int64_t late_us = 200000;
  int duplicate_permille = 10;  // of requests and pushed reports
};

class Network {
 public:
  Network(const EventQueue& queue, Random& random, std::size_t machines)
      : queue_(queue),
        random_(random),
        machines_(machines),
        cuts_(machines * machines, 0),
        disturbed_us_(machines * machines, -1) {}

  NetworkSettings settings;
  int loss_permille = 0;        // for the moment
  std::int64_t slow_us = 0;     // for the moment: everything takes up to so much longer
  std::uint64_t strike_at = 0;  // the message of this number is lost, or late by strike_late_us
  std::int64_t strike_late_us = 0;

  // How long what is sent now is under way; nullopt: it is lost.
  std::optional<std::int64_t> Travel(std::size_t from, std::size_t to) {
    if (from == to) return random_.Between(20, 200);
    ++sent_;
    std::int64_t us = random_.Between(settings.least_us, settings.most_us);
    if (random_.Chance(settings.late_permille)) us += random_.Between(0, settings.late_us);
    if (slow_us > 0) us += random_.Between(0, slow_us);
    const bool lost = loss_permille > 0 && random_.Chance(loss_permille);
    if (sent_ == strike_at) {
      if (strike_late_us == 0) return std::nullopt;
      us += strike_late_us;
    }
    if (lost || Cut(from, to)) return std::nullopt;
    return us;
  }
  bool Duplicates() { return settings.duplicate_permille > 0 && random_.Chance(settings.duplicate_permille); }

  [[nodiscard]] bool Cut(std::size_t from, std::size_t to) const { return cuts_[from * machines_ + to] > 0; }
  void SetCut(std::size_t from, std::size_t to, bool cut) {
    int& count = cuts_[from * machines_ + to];
    count = cut ? count + 1 : (count > 0 ? count - 1 : 0);
    disturbed_us_[from * machines_ + to] = queue_.NowUs();
  }
  void Heal() {
    for (std::size_t way = 0; way < cuts_.size(); ++way) {
      if (cuts_[way] > 0) disturbed_us_[way] = queue_.NowUs();
    }
    if (loss_permille > 0 || slow_us > 0) all_disturbed_us = std::max(all_disturbed_us, queue_.NowUs());
    cuts_.assign(cuts_.size(), 0);
    loss_permille = 0;
    slow_us = 0;
  }
  // Both ways, and it was so since then.
  [[nodiscard]] bool SoundSince(std::size_t a, std::size_t b, std::int64_t us) const {
    return loss_permille == 0 && slow_us == 0 && all_disturbed_us < us && !Cut(a, b) && !Cut(b, a) &&
           disturbed_us_[a * machines_ + b] < us && disturbed_us_[b * machines_ + a] < us;
  }
  std::int64_t all_disturbed_us = -1;  // when a loss or a slowness last ended

  [[nodiscard]] std::uint64_t Sent() const { return sent_; }

 private:
  const EventQueue& queue_;
  Random& random_;
  std::size_t machines_;
  std::vector<int> cuts_;
  std::vector<std::int64_t> disturbed_us_;
  std::uint64_t sent_ = 0;
};

}  // namespace walstitch::simulation
