#include "tests/support/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

extern char** environ;

namespace walstitch::test {

Process::Process(Process&& other) noexcept : pid_(other.pid_), exit_status_(other.exit_status_) {
  other.pid_ = -1;
}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    Kill();
    pid_ = other.pid_;
    exit_status_ = other.exit_status_;
    other.pid_ = -1;
  }
  return *this;
}

std::optional<std::string> Process::Start(const std::vector<std::string>& arguments,
                                          const std::string& output_file,
                                          const std::map<std::string, std::string>& environment) {
  Kill();
  exit_status_.reset();

  // Everything that allocates happens before fork(): the test may have threads.
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    if (environment.count(text.substr(0, text.find('='))) == 0) variables.push_back(text);
  }
  for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
  std::vector<char*> envp;
  for (std::string& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);

  const int output = ::open(output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (output < 0) return output_file + ": " + std::strerror(errno);
  // The child writes why exec failed; on success the pipe just closes.
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) {
    ::close(output);
    return std::string("pipe: ") + std::strerror(errno);
  }
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    ::execve(argv[0], argv.data(), envp.data());
    const int error = errno;
    [[maybe_unused]] const ssize_t written = ::write(report[1], &error, sizeof error);
    ::_exit(127);
  }
  ::close(output);
  ::close(report[1]);
  if (child < 0) {
    ::close(report[0]);
    return std::string("fork: ") + std::strerror(errno);
  }
  pid_ = child;
  int error = 0;
  const ssize_t got = ::read(report[0], &error, sizeof error);
  ::close(report[0]);
  if (got == static_cast<ssize_t>(sizeof error)) {
    Kill();
    return arguments[0] + ": " + std::strerror(error);
  }
  return std::nullopt;
}

bool Process::IsRunning() { return pid_ > 0 && !Wait(std::chrono::milliseconds(0)); }

void Process::Signal(int signal) const {
  if (pid_ > 0) ::kill(pid_, signal);
}

bool Process::Wait(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (pid_ > 0) {
    int status = 0;
    const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
    if (ended == pid_ || (ended < 0 && errno == ECHILD)) {
      exit_status_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
      pid_ = -1;
      break;
    }
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

bool Process::Terminate(std::chrono::milliseconds patience) {
  if (pid_ <= 0) return true;
  // A stopped process does not act on SIGTERM before it goes on.
  Signal(SIGTERM);
  Signal(SIGCONT);
  if (Wait(patience)) return true;
  Kill();
  return false;
}

void Process::Kill() {
  if (pid_ <= 0) return;
  Signal(SIGKILL);
  Wait(std::chrono::seconds(30));
}

}  // namespace walstitch::test
