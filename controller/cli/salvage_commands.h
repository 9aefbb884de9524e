// salvage list, show, replay.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controller/cli/console.h"
#include "controller/cli/controller_client.h"

namespace walstitch::cli {

// Of all groups, or of one. kNo if one is damaged, kUnreachable if an agent was not heard.
ExitCode ListSalvagesCommand(const Console& console, const ControllerClient& controller,
                             const std::string& group);

struct SalvageShowOptions {
  std::string id = "latest";
  std::string key;         // glob; empty: all
  std::string name_space;  // glob; empty: all
  std::string keyspace;    // empty: all
  bool records = false;
  std::uint64_t max = 20;
};

// By id, or a part of it that is unique; "latest" is the newest one.
ExitCode ShowSalvageCommand(const Console& console, const ControllerClient& controller,
                            const SalvageShowOptions& options);

struct SalvageReplayOptions {
  std::string id;
  std::vector<std::string> keys;
  std::vector<std::string> namespaces;
  std::vector<std::string> keyspaces;
  bool all = false;
  bool dry_run = false;
  bool overwrite = false;
  bool deletions = false;
};

// kNo if the server refused a key, kUnknown if it is not known of one. Keys that are left alone, because they
// changed or cannot be replayed, are no failure.
ExitCode ReplaySalvageCommand(const Console& console, const ControllerClient& controller,
                              const SalvageReplayOptions& options);

}  // namespace walstitch::cli
