// A release of the chart in a played cluster: the golden rendering of tests/helm, its pods as processes, an
// API server, which is a real one where KUBE_APISERVER_BIN and ETCD_BIN name one, and a client that writes
// all the time to whatever the Service `shop-master` leads to.
#pragma once

#include <gtest/gtest.h>

#include <boost/json/value.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policies/model/decision.h"
#include "tests/support/ack_check.h"
#include "tests/support/ack_log.h"
#include "tests/support/ack_writer.h"
#include "tests/support/environment.h"
#include "tests/support/kubernetes/fake_apiserver.h"
#include "tests/support/kubernetes/real_apiserver.h"
#include "tests/support/node_server.h"
#include "tests/support/pods/admin.h"
#include "tests/support/pods/pod_player.h"

namespace walstitch::test {

class PodsTest : public testing::Test {
 protected:
  // `golden`: of tests/helm/golden, without its ending. Until every pod is ready.
  void Install(const std::string& golden);
  void TearDown() override;

  // ---- the API server
  [[nodiscard]] static bool IsRealApiServer() { return RealApiServer::WhyNot().empty(); }
  FakeApiServer& Fake() { return *fake_; }  // only where it is none
  void StopApiServer();
  void StartApiServer();

  // ---- the group
  [[nodiscard]] std::string Master() const;  // by the Service; empty: nobody
  [[nodiscard]] std::vector<std::string> Replicas() const;
  bool WaitAllReady(std::chrono::milliseconds patience = std::chrono::seconds(60));
  // Another than `old` is the master, and it was written to.
  bool WaitNewMaster(const std::string& old, std::chrono::milliseconds patience = std::chrono::seconds(40));
  // A later epoch than that has a master, whichever it is, and it was written to.
  bool WaitFailedOver(std::uint64_t epoch, std::chrono::milliseconds patience = std::chrono::seconds(60));
  [[nodiscard]] std::uint64_t Epoch() const;  // 0: nobody tells
  // So many more writes are acknowledged.
  bool WaitWritten(std::uint64_t writes = 50, std::chrono::milliseconds patience = std::chrono::seconds(40));
  RedisClient ClientOf(const std::string& pod) const;

  // ---- the controller
  [[nodiscard]] std::string ControllerPod() const;  // that leads
  // Of whichever controller leads; null: nobody answers.
  [[nodiscard]] boost::json::value Ask(const std::string& target) const;
  [[nodiscard]] std::string Metrics() const;
  [[nodiscard]] std::string MetricsOf(const std::string& controller) const;  // of that pod; empty: no answer
  [[nodiscard]] std::vector<DecisionRecord> Decisions() const;
  [[nodiscard]] bool Settled() const;
  [[nodiscard]] std::vector<std::string> EventReasons() const;
  int StatusOf(const std::string& pod, int port, const std::string& path) const;

  // Ends the writer, waits until things are quiet, and compares everything: nothing lost, nothing differs, no
  // full sync that was not decided. With `machine_lost`, what the lost machine had acknowledged and not sent
  // may be given up, by a record, salvaged before; and its node may have been copied afresh, by a decision.
  void ExpectNothingLost(bool machine_lost = false);

  bool WaitUntil(const std::function<bool()>& condition, std::chrono::milliseconds patience) const {
    return Eventually(patience, condition);
  }

  std::unique_ptr<FakeApiServer> fake_;
  std::unique_ptr<RealApiServer> real_;
  std::unique_ptr<ApiAdmin> admin_;
  std::unique_ptr<PodPlayer> player_;
  AckLog log_;
  std::unique_ptr<AckWriter> writer_;
};

}  // namespace walstitch::test
