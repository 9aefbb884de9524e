// Plays a cluster's machines for a rendered chart: pods are processes on loopback, started with exactly the
// commands, arguments, environment and files that the chart gives their containers, and registered with an
// API server, which may be a real one. It does what a kubelet does (volumes, init containers, sidecars,
// probes, readiness, preStop and grace, restarts), and what the controllers of StatefulSets and Deployments
// do (a pod that is gone is made anew, under another address, with its claims).
//
// Where the paths of a mount or the loopback address stand in what a container is given, those of this pod
// stand in its place: a pod has two addresses of 127/8, one that others reach it by and one that is its own
// loopback. Not played: CPU and memory limits, users, read-only mounts, Services (they are resolved here),
// liveness.
//
// Thread-safe. One thread plays all of it, and starts and ends every process, by its id.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/pods/admin.h"
#include "tests/support/pods/rendered.h"

namespace walstitch::test {

struct PodPlayerOptions {
  RenderedChart chart;
  ApiAdmin* admin = nullptr;
  // What a pod of that service account shows the API server; empty: it has none.
  std::function<std::string(const std::string& service_account)> token;
  std::vector<std::string> sets;         // StatefulSets to play
  std::vector<std::string> deployments;  // Deployments to play
};

class PodPlayer {
 public:
  explicit PodPlayer(PodPlayerOptions options);
  ~PodPlayer();
  PodPlayer(const PodPlayer&) = delete;
  PodPlayer& operator=(const PodPlayer&) = delete;

  // Creates the StatefulSets in the API, and all pods.
  void Start();

  // `kubectl delete pod`: preStop, SIGTERM, its grace, and a new one in its place.
  void DeletePod(const std::string& pod);
  // The machine is lost: kill -9 of all of it. The pod is made anew on another after a while.
  void LosePod(const std::string& pod, std::chrono::milliseconds away = std::chrono::milliseconds(0));
  // One by one from the last, each when the one before is ready: as a StatefulSet rolls. False: not in time.
  bool Roll(const std::string& set, std::chrono::milliseconds patience);
  // kill -9 of a container; it is started again in its pod.
  void KillContainer(const std::string& pod, const std::string& container);
  void SignalContainer(const std::string& pod, const std::string& container, int signal);
  void Scale(const std::string& set, int replicas);
  // As a kubelet does it: the files of all pods that mount it are exchanged at once.
  void UpdateConfigMap(const std::string& name, const std::map<std::string, std::string>& data);

  // Pods by name; empty: there is none now.
  [[nodiscard]] std::vector<std::string> Pods(const std::string& owner) const;
  [[nodiscard]] std::string IpOf(const std::string& pod) const;
  [[nodiscard]] bool IsReady(const std::string& pod) const;
  [[nodiscard]] std::int64_t RestartsOf(const std::string& pod, const std::string& container) const;
  // The pod's addresses by what the Service of the chart selects: labels, and readiness unless it says
  // otherwise.
  struct Target {
    std::string pod;
    std::string ip;
  };
  [[nodiscard]] std::vector<Target> Endpoints(const std::string& service) const;
  // What a container has printed.
  [[nodiscard]] std::string OutputOf(const std::string& pod, const std::string& container) const;
  // Of all containers, the last lines, for a test that failed.
  [[nodiscard]] std::string Logs(std::size_t bytes_of_each = 4000) const;
  // Runs a command as `kubectl exec` in the container would. Its output.
  struct Output {
    int exit_code = -1;
    std::string text;
  };
  Output Exec(const std::string& pod, const std::string& container, std::vector<std::string> command);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace walstitch::test
