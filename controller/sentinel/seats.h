// Which client gives its place to a newcomer, when all places are taken. Pure; time is an argument, in
// milliseconds of a steady clock.
//
// Those first that have shown no token where one is needed, for asking alone must not rank a stranger with
// those who may ask. Then those of the address that has the most places, so that one machine does not push
// all others out. Then whoever never asked anything, and whoever has asked nothing for longest. Subscribers
// wait by right, and keep their places; but one address cannot have more than half of all places that way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace walstitch::sentinel {

struct Seat {
  std::string host;           // of the client, without its port
  bool may_view = false;      // it has shown what is needed to ask
  bool has_asked = false;     // anything
  bool subscribed = false;    // and waits to be told
  bool ordering = false;      // an order of it is under way
  std::int64_t asked_ms = 0;  // when it asked last, or came
};

// Its index; nullopt: nobody does, so soon.
std::optional<std::size_t> WhoGivesItsPlace(const std::vector<Seat>& seats, std::int64_t now_ms);

}  // namespace walstitch::sentinel
