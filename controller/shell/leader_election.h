// Has the rule of core/leadership.h carried out with a Lease (coordination.k8s.io/v1) in Kubernetes' API:
// reads it, writes it, and tells who leads. On the executor only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <string>

#include "controller/core/leadership.h"
#include "controller/kubernetes/api_client.h"

namespace walstitch::shell {

struct LeaderElectionOptions {
  kubernetes::ApiClient client;
  std::string name;     // of the Lease
  std::string place;    // this controller's pod
  std::string run;      // this run of its process
  std::string address;  // "http(s)://host:port" of its API, for whoever asks another
  core::LeaderTerms terms;
};

class LeaderElection {
 public:
  // `begins` when this one leads, `ends` when it does not any more: each once.
  LeaderElection(boost::asio::any_io_executor executor, LeaderElectionOptions options,
                 std::function<void()> begins, std::function<void()> ends);
  ~LeaderElection();
  LeaderElection(const LeaderElection&) = delete;
  LeaderElection& operator=(const LeaderElection&) = delete;

  void Start();
  // At this very moment, by the clock.
  [[nodiscard]] bool Leads() const;
  [[nodiscard]] std::string Identity() const;
  // Who leads, as far as is known; empty: nobody, or not known.
  [[nodiscard]] std::string Holder() const;
  [[nodiscard]] std::string HoldersAddress() const;
  // Why the Lease could not be read or written last; empty: it could.
  [[nodiscard]] const std::string& Problem() const;

  // It leads no more, and says so: another need not wait. Takes 2 s at most.
  boost::asio::awaitable<void> GiveBack();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// A Lease as a record, and back. Pure. `now` as Kubernetes writes times: "2026-11-26T12:00:00.000000Z".
core::LeaderRecord RecordOfLease(const kubernetes::Object& lease);
// `before`: the Lease as it was read, with its resourceVersion and whatever else is in it; or a new one.
kubernetes::Object LeaseOf(kubernetes::Object before, const core::LeaderRecord& record,
                           const std::string& now);

}  // namespace walstitch::shell
