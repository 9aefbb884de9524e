// What an agent knows becomes a report. Pure: facts in, report out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agents/node/info.h"
#include "agents/node/kvrocks_client.h"
#include "policies/model/report.h"
#include "policies/model/result.h"

namespace walstitch::agent {

// What one look at the node gave.
struct Observation {
  ProcessState process = ProcessState::kUnknown;
  std::optional<node::NodeFacts> facts;          // only when INFO answered
  std::string error;                             // why not, one sentence
  std::optional<std::string> database_name;      // CONFIG GET, once for each run of the server
  std::optional<bool> replication_id_psync;      // the same
  std::optional<bool> empties_before_full_sync;  // the same
  std::uint64_t served = 0;                      // requests (NodeMonitor::Request) that it answers
};

// What INFO's failure says about the process. Refused: nothing listens, so it is down. No answer in
// time: it hangs. An error that the server itself sent: it is up. Anything else proves nothing.
ProcessState ClassifyProcess(const Result<node::InfoFields>& info);

struct ReportInput {
  std::string node;
  std::string group;
  Endpoint endpoint;
  Endpoint relay_endpoint;  // as the node's `slaveof` names it
  Observation seen;
  std::optional<node::NodeFacts> known;  // the latest facts of a process that was up, see BuildReport
  RelayReport relay;
  std::optional<Sequence> wal_last;  // from the WAL's files
  bool wal_readable = false;
  bool replication_id_psync = false;
  std::optional<bool> empties_before_full_sync;
  std::uint64_t epoch = 0;
  std::uint64_t number = 0;
  std::int64_t time_ms = 0;
  std::string boot_id;
  std::int64_t boot_ms = 0;
  std::optional<DiskReport> disk;
  std::string fence_note;  // why the agent parks, or has parked, its node by itself; comes before any error
  std::string error;       // of the agent itself; the node's error comes first
};

// A process that is up is reported as it says. Of one that hangs only what does not move by itself is
// kept from before (role, master, version); its last is not known. Of one that is down the version
// alone is kept, and `last` comes from the WAL's files.
Report BuildReport(const ReportInput& input);

// Whether both endpoints are the same; the names of the loopback interface are one host.
bool SameEndpoint(const Endpoint& left, const Endpoint& right);

// Whether a listener that has the one need not be sent the other at once: all but the clock, the
// numbering, the times that run, and the counters of a flowing stream.
bool SameSubstance(const Report& left, const Report& right);

}  // namespace walstitch::agent
