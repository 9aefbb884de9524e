#include <charconv>
#include <filesystem>

#include "agents/node/kvrocks_client.h"
#include "agents/wal/pollupdates_source.h"
#include "agents/wal/wal_directory.h"
#include "controller/cli/wal_commands.h"

namespace walstitch::cli {
namespace {

// What is wrong with a directory is the command line's fault, whatever it is; says what to give instead.
Result<NamedSource> OpenDirectory(const std::string& path) {
  namespace fs = std::filesystem;
  const auto fail = [&path](const std::string& why) {
    return Fail(ErrorCode::kInvalid, (path.empty() ? "''" : path) + ": " + why);
  };
  constexpr const char* kGive = "give Kvrocks' `dir`, the directory that contains db/";
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return fail("no such directory");
  if (error) return fail("cannot be examined: " + error.message());
  if (status.type() != fs::file_type::directory) return fail(std::string("is no directory: ") + kGive);
  const fs::path directory(path);
  if (!fs::exists(directory / "db", error)) {
    if (error) return fail("cannot be examined: " + error.message());
    if (!fs::exists(directory / "CURRENT", error)) return fail(std::string("contains no db/: ") + kGive);
    const fs::path absolute = fs::weakly_canonical(directory, error);
    if (!error && absolute.filename() == "db") {
      return fail("is db/ itself: give the directory above it, " + absolute.parent_path().string());
    }
    return fail(
        "is a database itself, and not named db: give a directory in which it is, or is linked as, db/");
  }
  auto source = std::make_unique<wal::WalDirectory>(path);
  if (auto readable = source->CheckReadable(); !readable)
    return Fail(ErrorCode::kInvalid, readable.error().Message());
  wal::WalDirectory* files = source.get();
  return NamedSource{path, std::move(source), files};
}

Result<NamedSource> OpenServer(const std::string& address, const SourceOptions& options) {
  const std::size_t colon = address.rfind(':');
  node::ClientOptions client;
  client.password = options.password;
  client.timeout = options.timeout;
  bool valid = colon != std::string::npos && colon > 0;
  if (valid) {
    client.host = address.substr(0, colon);
    if (client.host.size() > 2 && client.host.front() == '[' && client.host.back() == ']') {
      client.host = client.host.substr(1, client.host.size() - 2);
    }
    const char* end = address.data() + address.size();
    auto [stopped, error] = std::from_chars(address.data() + colon + 1, end, client.port);
    valid = error == std::errc() && stopped == end && client.port != 0;
  }
  if (!valid) return Fail(ErrorCode::kInvalid, "--server '" + address + "': expected host:port");
  auto connection = std::make_shared<node::KvrocksClient>(std::move(client));
  auto poll = [connection, address](Sequence after, std::uint32_t max_batches) -> Result<wal::PolledUpdates> {
    auto updates = connection->PollUpdates(after, max_batches);
    if (!updates) return Fail(updates.error(), address);
    return wal::PolledUpdates{updates->latest, std::move(updates->batches), updates->next};
  };
  return NamedSource{address, std::make_unique<wal::PollUpdatesSource>(std::move(poll)), nullptr};
}

}  // namespace

Result<std::vector<NamedSource>> OpenSources(const SourceOptions& options, std::size_t expected) {
  const std::size_t given = options.directories.size() + options.servers.size();
  if (given != expected) {
    return Fail(ErrorCode::kInvalid, "say whose WAL: expected " +
                                         std::string(expected == 1 ? "one DIR or --server HOST:PORT"
                                                                   : "two of DIR or --server HOST:PORT") +
                                         ", got " + std::to_string(given));
  }
  std::vector<NamedSource> sources;
  for (const auto& path : options.directories) {
    auto source = OpenDirectory(path);
    if (!source) return Fail(source.error());
    sources.push_back(std::move(*source));
  }
  for (const auto& address : options.servers) {
    auto source = OpenServer(address, options);
    if (!source) return Fail(source.error());
    sources.push_back(std::move(*source));
  }
  return sources;
}

}  // namespace walstitch::cli
