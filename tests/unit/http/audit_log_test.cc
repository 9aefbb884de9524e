#include "agents/http/audit_log.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <sstream>

namespace walstitch::http {
namespace {

TEST(AuditLog, IsWrittenWhateverTheLogLeavesOut) {
  std::ostringstream written;
  const auto before = spdlog::default_logger();
  const auto logger =
      std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_st>(written));
  logger->set_pattern("%l %v");
  logger->set_level(spdlog::level::err);
  spdlog::set_default_logger(logger);
  const auto audit = AuditToLog();
  spdlog::info("left out");
  audit("audit: {token} ops");
  spdlog::set_default_logger(before);
  EXPECT_EQ(written.str(), "info audit: {token} ops\n");
}

}  // namespace
}  // namespace walstitch::http
