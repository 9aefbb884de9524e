#include "agents/http/audit_log.h"

#include <spdlog/spdlog.h>

namespace walstitch::http {

std::function<void(const std::string& line)> AuditToLog() {
  auto logger = spdlog::default_logger()->clone("audit");
  logger->set_level(spdlog::level::info);
  logger->flush_on(spdlog::level::info);
  return [logger](const std::string& line) { logger->info("{}", line); };
}

}  // namespace walstitch::http
