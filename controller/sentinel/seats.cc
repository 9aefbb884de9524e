#include "controller/sentinel/seats.h"

#include <algorithm>
#include <string_view>
#include <tuple>
#include <unordered_map>

namespace walstitch::sentinel {

namespace {

// So long nobody loses its place to a newcomer: until its first request, and after any.
constexpr std::int64_t kFirstMs = 100;
constexpr std::int64_t kAtLeastMs = 1000;

struct OfHost {
  std::size_t places = 0;
  std::size_t subscribers = 0;
};

}  // namespace

std::optional<std::size_t> WhoGivesItsPlace(const std::vector<Seat>& seats, std::int64_t now_ms) {
  std::unordered_map<std::string_view, OfHost> hosts;
  for (const Seat& seat : seats) {
    OfHost& host = hosts[seat.host];
    ++host.places;
    host.subscribers += seat.subscribed ? 1 : 0;
  }
  const std::size_t half = std::max<std::size_t>(1, seats.size() / 2);
  // The least of them gives its place.
  const auto order = [&](const Seat& seat) {
    return std::tuple(seat.may_view, seats.size() - hosts.at(seat.host).places, seat.has_asked,
                      seat.asked_ms);
  };
  std::optional<std::size_t> least;
  for (std::size_t i = 0; i < seats.size(); ++i) {
    const Seat& seat = seats[i];
    const bool keeps = seat.subscribed && seat.may_view && hosts.at(seat.host).subscribers <= half;
    if (seat.ordering || keeps) continue;
    if (now_ms - seat.asked_ms < (seat.has_asked ? kAtLeastMs : kFirstMs)) continue;
    if (!least || order(seat) < order(seats[*least])) least = i;
  }
  return least;
}

}  // namespace walstitch::sentinel
