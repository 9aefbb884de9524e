// `walstitch status --watch` beside a controller that is restarted, at a terminal and away from one; and the
// names that completions ask for.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "tests/integration/cluster_fixture.h"

namespace walstitch::test {
namespace {

class WatchTest : public ClusterTest {
 protected:
  std::map<std::string, std::string> Environment() {
    return {{"WALSTITCH_CONTROLLER", "http://127.0.0.1:" + std::to_string(cluster().ControllerPort())},
            {"TERM", "xterm"}};
  }
  std::string OutputFile() { return cluster().directory() + "/watch.out"; }
  std::string Output() {
    std::ostringstream text;
    text << std::ifstream(OutputFile(), std::ios::binary).rdbuf();
    return text.str();
  }
  size_t Looks() {
    const std::string text = Output();
    size_t count = 0;
    for (size_t at = 0; (at = text.find("group shop: master n1", at)) != std::string::npos; ++at) ++count;
    return count;
  }
};

TEST_F(WatchTest, AwayFromATerminalItGoesOnPastARestartOfTheController) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  ASSERT_TRUE(cluster().WaitSettled());
  Process watch;
  ASSERT_FALSE(watch.Start({BinaryPath("walstitch"), "status", "--watch", "--interval", "50ms"}, OutputFile(),
                           Environment()));
  ASSERT_TRUE(cluster().WaitUntil([&] { return Looks() >= 3; })) << Output();

  cluster().KillController();
  ASSERT_TRUE(cluster().WaitUntil([&] { return Output().find("did not answer") != std::string::npos; }))
      << Output();
  const size_t before = Looks();
  ASSERT_FALSE(cluster().StartController());
  EXPECT_TRUE(cluster().WaitUntil([&] { return Looks() >= before + 2; })) << Output();
  EXPECT_EQ(Output().find('\x1b'), std::string::npos);

  watch.Signal(SIGINT);
  ASSERT_TRUE(watch.Wait(std::chrono::seconds(10)));
  EXPECT_EQ(watch.ExitStatus(), 0);
}

TEST_F(WatchTest, AtATerminalItRedrawsAndEndsWithCtrlC) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  ASSERT_TRUE(cluster().WaitSettled());
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  ASSERT_EQ(0, ::grantpt(terminal));
  ASSERT_EQ(0, ::unlockpt(terminal));
  const std::string name = ::ptsname(terminal);
  const int other_end = ::open(name.c_str(), O_RDWR | O_NOCTTY);  // so that nothing is lost when it ends
  ASSERT_GE(other_end, 0);
  ASSERT_EQ(0, ::fcntl(terminal, F_SETFL, O_NONBLOCK));

  // setsid makes the terminal that is opened next its own, so that what is typed there reaches it as a
  // signal.
  Process watch;
  ASSERT_FALSE(
      watch.Start({"/bin/sh", "-c",
                   "exec setsid -w sh -c 'exec \"$0\" status --watch --interval 50ms <\"$1\" >\"$1\" 2>&1' "
                   "\"$0\" \"$1\"",
                   BinaryPath("walstitch"), name},
                  OutputFile(), Environment()));
  std::string seen;
  const auto read = [&] {
    char part[4096];
    for (ssize_t got; (got = ::read(terminal, part, sizeof part)) > 0;) seen.append(part, size_t(got));
  };
  const auto frames = [&] {
    size_t count = 0;
    for (size_t at = 0; (at = seen.find("\x1b[H", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  ASSERT_TRUE(cluster().WaitUntil([&] {
    read();
    return frames() >= 3;
  })) << seen
      << Output();
  EXPECT_NE(seen.find("\x1b[32mmaster\x1b[0m"), std::string::npos) << seen;

  ASSERT_EQ(1, ::write(terminal, "\x03", 1));
  EXPECT_TRUE(watch.Wait(std::chrono::seconds(10)));
  EXPECT_EQ(watch.ExitStatus(), 0);
  ::close(other_end);
  ::close(terminal);
}

TEST_F(WatchTest, NamesOfGroupsAndNodesAreGivenToCompletions) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  EXPECT_EQ(cluster().Cli({"names", "groups"}).out, "shop\n");
  EXPECT_EQ(cluster().Cli({"names", "nodes"}).out, "n1\nn2\n");
  EXPECT_EQ(cluster().Cli({"names", "nodes", "shop"}).out, "n1\nn2\n");
  EXPECT_EQ(cluster().Cli({"names", "nodes", "nowhere"}).exit_code, 2);
}

}  // namespace
}  // namespace walstitch::test
