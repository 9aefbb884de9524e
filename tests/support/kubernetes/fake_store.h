// The objects of the fake API server, their versions and a bounded history of their changes. No I/O, no
// threads: the server has the lock. Throws FakeFailure.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/kubernetes/fake_failure.h"
#include "tests/support/kubernetes/fake_schema.h"

namespace walstitch::test {

// "a=b,c!=d,e,!f"; and of field selectors "metadata.name=x". Throws FakeFailure on others.
class Selector {
 public:
  explicit Selector(const std::string& text, bool of_fields = false);
  [[nodiscard]] bool Matches(const boost::json::object& object) const;
  // The name that a field selector asks for, or empty.
  [[nodiscard]] std::string Name() const;

 private:
  enum class Test { kEqual, kUnequal, kExists, kMissing };
  struct Term {
    Test test;
    std::string key;
    std::string value;
  };
  std::vector<Term> terms_;
  bool of_fields_ = false;
};

class FakeStore {
 public:
  struct Place {
    std::string group;
    std::string plural;
    std::string namespace_name;
    friend auto operator<=>(const Place&, const Place&) = default;
  };
  struct Event {
    std::uint64_t version = 0;
    Place place;
    std::optional<boost::json::object> before;  // absent: it was created
    boost::json::object after;                  // of a delete: as it was last, at the version of the delete
    bool deleted = false;
  };
  struct Page {
    std::vector<boost::json::object> items;
    std::uint64_t version = 0;
    std::string next;  // the continue token
    std::size_t left = 0;
  };
  enum class PatchForm { kMerge, kStrategicMerge };

  explicit FakeStore(std::size_t history) : most_history_(history) {}

  boost::json::object Get(const FakeResource& resource, const Place& place, const std::string& name) const;
  boost::json::object Create(const FakeResource& resource, const Place& place, boost::json::object object);
  boost::json::object Replace(const FakeResource& resource, const Place& place, const std::string& name,
                              const std::string& subresource, boost::json::object object);
  boost::json::object Patch(const FakeResource& resource, const Place& place, const std::string& name,
                            const std::string& subresource, const boost::json::object& patch, PatchForm form);
  boost::json::object Delete(const FakeResource& resource, const Place& place, const std::string& name,
                             const boost::json::object& options);
  Page List(const FakeResource& resource, const Place& place, const Selector& labels, const Selector& fields,
            std::size_t limit, const std::string& next);

  [[nodiscard]] std::uint64_t Version() const { return version_; }
  // The first event behind that version. Throws 410 if there may have been some that are forgotten.
  [[nodiscard]] std::uint64_t CheckHistory(std::uint64_t version) const;
  [[nodiscard]] const std::deque<Event>& History() const { return history_; }
  // Forgets the history and the pages of lists, as a compaction does.
  void Compact();
  [[nodiscard]] std::vector<boost::json::object> All(const Place& place) const;

 private:
  using Objects = std::map<std::string, boost::json::object>;

  boost::json::object Update(const FakeResource& resource, const Place& place, const std::string& name,
                             const std::string& subresource, boost::json::object object);
  boost::json::object Store(const Place& place, const std::string& name, boost::json::object object);
  void Remember(Event event);

  struct Rest {
    std::vector<boost::json::object> items;
    std::uint64_t version;
  };

  std::size_t most_history_;
  std::uint64_t version_ = 100;
  std::uint64_t forgotten_ = 100;  // events up to this version may be gone
  std::uint64_t uid_ = 0;
  std::uint64_t page_ = 0;
  std::map<Place, Objects> objects_;
  std::deque<Event> history_;
  std::map<std::string, Rest> pages_;
};

// RFC 7386.
void MergePatch(boost::json::value* target, const boost::json::value& patch);

}  // namespace walstitch::test
