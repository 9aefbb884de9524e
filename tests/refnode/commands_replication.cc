// The dialogue between nodes, and what a sidecar uses of it.
#include <filesystem>
#include <fstream>

#include "commands.h"

namespace walstitch::refnode {
namespace {

std::string CheckUpstream(const Args& args) {
  if (EqualsIgnoreCase(args[1], "no") && EqualsIgnoreCase(args[2], "one")) return "";
  uint64_t port = 0;
  return ParseUnsigned(args[2], &port) && port <= UINT32_MAX ? "" : "port should be number";
}

std::string SlaveOf(CommandContext& context, const Args& args) {
  if (!context.connection.is_admin) return resp::Error(std::string("ERR ") + kAdminRequired);
  Server& server = context.server;
  if (EqualsIgnoreCase(args[1], "no") && EqualsIgnoreCase(args[2], "one")) {
    const rocksdb::Status status = server.Promote();
    return status.ok() ? resp::Ok() : resp::Error("ERR failed to remove master: " + status.ToString());
  }
  uint64_t port = 0;
  ParseUnsigned(args[2], &port);
  if (const auto error = server.RefuseUpstream(args[1], static_cast<uint16_t>(port))) {
    return resp::Error("ERR " + *error);
  }
  const auto error = server.Follow(args[1], static_cast<uint16_t>(port), false);
  return error ? resp::Error("ERR " + *error) : resp::Ok();
}

std::string DbName(CommandContext& context, const Args&) {
  return context.server.config().Get("db-name") + "\r\n";
}

std::string CheckReplConf(const Args& args) {
  if (args.size() % 2 == 0) return kWrongArgumentCount;
  for (size_t i = 1; i < args.size(); i += 2) {
    const std::string option = ToLower(args[i]);
    uint64_t port = 0;
    if (option == "listening-port") {
      if (!ParseUnsigned(args[i + 1], &port) || port == 0 || port > 65535) {
        return "listening-port should be number or out of range";
      }
    } else if (option == "ip-address") {
      if (args[i + 1].empty()) return "ip-address should not be empty";
    } else {
      return "unknown option";
    }
  }
  return "";
}

std::string ReplConf(CommandContext& context, const Args& args) {
  for (size_t i = 1; i < args.size(); i += 2) {
    uint64_t port = 0;
    if (EqualsIgnoreCase(args[i], "ip-address")) {
      context.connection.announced_ip = args[i + 1];
    } else if (ParseUnsigned(args[i + 1], &port)) {
      context.connection.listening_port = static_cast<uint16_t>(port);
    }
  }
  return resp::Ok();
}

std::string CheckPsync(const Args& args) {
  uint64_t next = 0;
  if (!ParseUnsigned(args[args.size() == 3 ? 2 : 1], &next)) {
    return "value is not an unsigned long long or out of range";
  }
  if (args.size() == 3 && args[1].size() != kReplicationIdLength) return "Wrong replication id length";
  return "";
}

std::string Psync(CommandContext& context, const Args& args) {
  Server& server = context.server;
  Connection& connection = context.connection;
  const bool with_id = args.size() == 3;
  uint64_t next = 0;
  ParseUnsigned(args[with_id ? 2 : 1], &next);
  if (with_id && server.config().GetBool("use-rsid-psync")) {
    // Only a batch that carries an id can contradict the replica's.
    const std::string id = context.storage.ReplicationIdAt(next - 1);
    if (id.size() == kReplicationIdLength && id != args[1]) {
      server.stats().sync_partial_err++;
      return resp::Error("ERR wrong replication id of the last log");
    }
  }
  const bool pads = server.config().GetBool("refnode.offers-padding") &&
                    server.config().GetBool("replication-enable-sequence-padding");
  if (const uint64_t boundary = pads ? BoundaryBehind(server, next) : next; boundary != next) {
    server.stats().sync_partial_padding++;
    server.stats().sync_partial_ok++;
    connection.takeover = [&server, &connection, next, boundary] { server.Feed(connection, boundary, next); };
    return "";
  }
  if (!IsBoundary(server, next)) {
    server.stats().sync_partial_err++;
    return resp::Error("ERR sequence out of range, please use fullsync");
  }
  server.stats().sync_partial_ok++;
  connection.takeover = [&server, &connection, next] { server.Feed(connection, next); };
  return "";
}

std::string FetchMeta(CommandContext& context, const Args&) {
  Server& server = context.server;
  Connection& connection = context.connection;
  server.stats().sync_full++;
  connection.takeover = [&server, &connection] {
    server.running_fetches()++;
    std::vector<std::string> files;
    const rocksdb::Status status = server.faults().fail_checkpoint ? rocksdb::Status::Aborted()
                                                                   : server.storage().CheckpointFiles(&files);
    if (status.ok()) {
      std::string line;
      for (const std::string& file : files) line += (line.empty() ? "" : ",") + file;
      connection.socket.SendAll(line + "\r\n");
      server.storage().TouchCheckpoint();
    } else {
      server.Log("can't create a checkpoint: " + status.ToString());
      connection.socket.SendAll("-can't create db checkpoint\r\n");
    }
    server.running_fetches()--;
  };
  return "";
}

void SendFiles(Server& server, Connection& connection, const std::string& names) {
  const std::string directory = server.config().CheckpointDirectory();
  std::string chunk(64 * 1024, '\0');
  for (size_t begin = 0; begin <= names.size() && !server.IsStopping();) {
    const size_t end = std::min(names.find(',', begin), names.size());
    const std::string name = names.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty()) continue;
    std::error_code error;
    const std::string path = directory + "/" + name;
    const uint64_t size = std::filesystem::file_size(path, error);
    std::ifstream file(path, std::ios::binary);
    if (error || !file || name.find('/') != std::string::npos) {
      server.Log("no such checkpoint file: " + name);
      return;
    }
    if (!connection.socket.SendAll(std::to_string(size) + "\r\n")) return;
    for (uint64_t left = size; left > 0;) {
      const auto want = static_cast<std::streamsize>(std::min<uint64_t>(left, chunk.size()));
      file.read(chunk.data(), want);
      const auto got = static_cast<size_t>(file.gcount());
      if (got == 0 || !connection.socket.SendAll(std::string_view(chunk.data(), got))) return;
      left -= got;
    }
  }
}

std::string FetchFile(CommandContext& context, const Args& args) {
  Server& server = context.server;
  Connection& connection = context.connection;
  connection.takeover = [&server, &connection, names = args[1]] {
    server.running_fetches()++;
    SendFiles(server, connection, names);
    server.storage().TouchCheckpoint();
    server.running_fetches()--;
  };
  return "";
}

struct PollOptions {
  uint64_t sequence = 0;
  int64_t max = 16;
  bool is_strict = false;
};

std::string ParsePoll(const Args& args, PollOptions* options) {
  if (!ParseUnsigned(args[1], &options->sequence)) {
    const std::string error = IntegerError(args[1]);
    return error.empty() ? "out of range of integer type" : error;
  }
  for (size_t i = 2; i < args.size(); ++i) {
    const bool has_value = i + 1 < args.size();
    if (EqualsIgnoreCase(args[i], "strict")) {
      options->is_strict = true;
    } else if (EqualsIgnoreCase(args[i], "max") && has_value) {
      const std::string error = IntegerError(args[++i]);
      if (!error.empty()) return error;
      ParseInteger(args[i], &options->max);
      if (options->max < 1 || options->max > 1000) return "out of numeric range";
    } else if (EqualsIgnoreCase(args[i], "format") && has_value) {
      if (!EqualsIgnoreCase(args[++i], "raw")) return "invalid FORMAT option, only support RAW";
    } else {
      return EqualsIgnoreCase(args[i], "max") || EqualsIgnoreCase(args[i], "format") ? "no more item to parse"
                                                                                     : kSyntaxError;
    }
  }
  return "";
}

std::string CheckPoll(const Args& args) {
  PollOptions options;
  return ParsePoll(args, &options);
}

std::string UpperHex(const std::string& bytes) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    out.push_back(kDigits[static_cast<uint8_t>(c) >> 4]);
    out.push_back(kDigits[static_cast<uint8_t>(c) & 15]);
  }
  return out;
}

std::string PollUpdates(CommandContext& context, const Args& args) {
  PollOptions options;
  ParsePoll(args, &options);
  const uint64_t next = options.sequence + 1;
  const uint64_t latest = context.storage.LatestSequence();
  if (next > latest + 1) return resp::Error("ERR next sequence is out of range");
  uint64_t covered = options.sequence;
  std::vector<std::string> updates;
  if (next <= latest) {
    std::unique_ptr<rocksdb::TransactionLogIterator> iterator;
    const rocksdb::Status status = context.storage.LogsSince(next, &iterator);
    if (!status.ok()) {
      // The one of these whose text Kvrocks makes itself.
      const bool is_own = status.ToString() == "NotFound: iterator is not valid";
      return resp::Error("ERR " + (is_own ? std::string("iterator is not valid") : status.ToString()));
    }
    for (int64_t i = 0; i < options.max && iterator->Valid() && iterator->status().ok();
         ++i, iterator->Next()) {
      const rocksdb::BatchResult batch = iterator->GetBatch();
      if (i == 0 && options.is_strict && batch.sequence != next) {
        return resp::Error("ERR mismatched sequence number, expected " + std::to_string(next) + " but got " +
                           std::to_string(batch.sequence));
      }
      updates.push_back(UpperHex(batch.writeBatchPtr->Data()));
      covered = batch.sequence + static_cast<uint64_t>(batch.writeBatchPtr->Count()) - 1;
    }
  }
  // Kvrocks keeps this map sorted by the encoded keys.
  return resp::ArrayHeader(6) + resp::Bulk("next_sequence") + resp::Integer(static_cast<int64_t>(covered)) +
         resp::Bulk("latest_sequence") +
         resp::Integer(static_cast<int64_t>(context.storage.LatestSequence())) + resp::Bulk("updates") +
         resp::BulkArray(updates);
}

std::string CheckApply(const Args& args) {
  if (args.size() > 3) return kWrongArgumentCount;
  if (args.size() == 3 && !EqualsIgnoreCase(args[2], "lowpri")) return "only support LOWPRI option";
  return "";
}

std::string ApplyBatch(CommandContext& context, const Args& args) {
  const rocksdb::Status status = context.storage.ApplyRaw(args[1]);
  return status.ok() ? resp::Integer(static_cast<int64_t>(args[1].size())) : StatusError(status);
}

}  // namespace

const std::vector<Command>& ReplicationCommands() {
  static const std::vector<Command> commands = {
      {"slaveof", 3, kExclusive, SlaveOf, CheckUpstream},
      {"replicaof", 3, kExclusive, SlaveOf, CheckUpstream},
      {"_db_name", 1, kNoMulti, DbName},
      {"replconf", -3, kReadOnly, ReplConf, CheckReplConf},
      {"psync", -2, kNoMulti, Psync, CheckPsync},
      {"_fetch_meta", 1, kNoMulti, FetchMeta},
      {"_fetch_file", 2, kNoMulti, FetchFile},
      {"pollupdates", -2, kReadOnly, PollUpdates, CheckPoll},
      {"applybatch", -2, kWrite | kNoMulti, ApplyBatch, CheckApply},
  };
  return commands;
}

}  // namespace walstitch::refnode
