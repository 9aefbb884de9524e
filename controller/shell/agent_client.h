// The controller's side of an agent's API. Every call has a deadline. Runs on the controller's executor;
// cheap to copy.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agents/http/http_client.h"
#include "policies/model/batch.h"
#include "policies/model/command.h"
#include "policies/model/report.h"
#include "policies/model/result.h"
#include "policies/model/salvage.h"
#include "policies/model/undo.h"
#include "policies/model/values.h"

namespace walstitch::shell {

class AgentClient {
 public:
  // Each request says whom it is for, and another agent refuses it: its address may be another's by now.
  AgentClient(std::string group, std::string node, http::Url url, http::Credentials credentials)
      : group_(std::move(group)),
        node_(std::move(node)),
        url_(std::move(url)),
        credentials_(std::move(credentials)) {}

  // INFO asked anew.
  boost::asio::awaitable<Result<Report>> FreshReport() const;

  // An Error only if the command certainly had no effect; everything else is a CommandResult, kUnknown
  // when the answer was lost.
  boost::asio::awaitable<Result<CommandResult>> Run(Command command,
                                                    std::chrono::milliseconds patience) const;

  boost::asio::awaitable<Result<WalExtent>> Extent() const;
  boost::asio::awaitable<Result<std::vector<BatchInfo>>> Batches(SequenceRange range, std::size_t max) const;
  // Two WALs compared by digests: agents/wal/range_digest.h. The agent reads up to a GiB for a digest, or for
  // a list of marked batches, so these two are waited for a minute: 18 MB/s are enough.
  boost::asio::awaitable<Result<RangeDigests>> Digests(SequenceRange range, std::uint32_t parts,
                                                       DigestKey key) const;
  boost::asio::awaitable<Result<MarkedBatches>> Marked(SequenceRange range, std::size_t max) const;
  boost::asio::awaitable<Result<RangeBytes>> Bytes(SequenceRange range, std::size_t max) const;
  boost::asio::awaitable<Result<Sequence>> Boundary(Sequence at) const;
  boost::asio::awaitable<Result<Touched>> ListTouched(SequenceRange range, std::size_t max_keys) const;
  // In ms; absent: nothing is known that would purge it.
  boost::asio::awaitable<Result<std::optional<std::int64_t>>> StaysFor(Sequence at) const;
  boost::asio::awaitable<Result<std::string>> ReplicationId(Sequence at) const;
  // Of a parked node: what of its tail can be taken back. kConflict: nothing, and why. Its WAL is read for
  // it, and the survivor's: this is waited for two minutes.
  boost::asio::awaitable<Result<UndoEvidence>> PlanUndo(UndoQuestion question) const;
  // Of the master: which of the keys it cannot rewrite as they are, and their types. Asked in parts, where
  // they are many.
  boost::asio::awaitable<Result<RepairableAnswer>> FindUnrepairable(std::vector<UserKeyName> keys) const;
  // What the server that the agent's relay follows says that it is. An Error if that is not `server`.
  boost::asio::awaitable<Result<Role>> RoleOfUpstream(Endpoint server) const;

  [[nodiscard]] std::string Url() const;
  [[nodiscard]] const std::string& Node() const { return node_; }

  // Whatever the agent answers there; for what the controller only passes on.
  boost::asio::awaitable<Result<boost::json::value>> Ask(
      std::string target, std::chrono::milliseconds timeout = std::chrono::minutes(1)) const;
  boost::asio::awaitable<Result<SalvagedKeys>> SalvageKeys(std::string id, std::uint64_t after,
                                                           std::size_t max) const;
  // Of the master. kTimeout: some of the keys may have been written.
  boost::asio::awaitable<Result<ReplayAnswer>> Replay(ReplayRequest request) const;

 private:
  [[nodiscard]] Result<void> CheckAddress() const;
  boost::asio::awaitable<Result<boost::json::value>> Call(std::string method, std::string target,
                                                          std::string body,
                                                          std::chrono::milliseconds timeout) const;
  boost::asio::awaitable<Result<boost::json::value>> Get(std::string target,
                                                         std::chrono::milliseconds timeout) const;

  std::string group_;
  std::string node_;
  http::Url url_;
  http::Credentials credentials_;
};

}  // namespace walstitch::shell
