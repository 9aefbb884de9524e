#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "policies/command_line/manual.h"
#include "policies/command_line/words.h"

namespace walstitch {
namespace {

struct Program {
  CLI::App app{"Does things.", "prog"};
  std::string text;
  std::vector<std::string> files;
  std::uint64_t number = 7;
  bool flag = false;

  Program() {
    app.formatter(HelpFormatter());
    app.set_help_flag("-h,--help", "This text");
    app.add_option("--place", text, "Where it is")->type_name("HOST:PORT")->envname("PROG_PLACE");
    auto* run = app.add_subcommand("run", "Runs");
    run->footer("Examples:\n  prog run .x");
    run->add_option("file", files, "What to run")->required();
    run->add_option("-n,--number", number, "How many")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{9}))
        ->capture_default_str();
    auto* quiet = run->add_flag("--quiet", flag, "Say nothing");
    run->add_option("--mode", text, "How")->check(CLI::IsMember({"fast", "slow"}))->excludes(quiet);
    app.add_subcommand("hidden", "Not shown")->group("");
  }
};

TEST(CommandLineTest, HelpIsOfTheProgramOrOfTheCommand) {
  Program program;
  EXPECT_EQ(program.app.help(), R"(Does things.

Usage: prog [OPTIONS] COMMAND

Options:
  -h, --help                  This text
  --place HOST:PORT           Where it is (or PROG_PLACE)

Commands:
  run                         Runs
)");
  program.app.parse("run x");
  EXPECT_EQ(program.app.help(), R"(Runs

Usage: prog run [OPTIONS] file...

Arguments:
  file                        What to run

Options:
  -h, --help                  This text
  -n, --number N              How many (1 to 9; default: 7)
  --quiet                     Say nothing (not with --mode)
  --mode fast|slow            How (not with --quiet)

Examples:
  prog run .x
)");
}

TEST(CommandLineTest, LongWordsGoOnBelowThemselves) {
  CLI::App app("Does things.", "prog");
  app.formatter(HelpFormatter());
  app.set_help_flag();
  bool flag = false;
  app.add_flag("--a-flag-with-quite-a-long-name", flag, std::string(60, 'x') + " " + std::string(20, 'y'));
  EXPECT_EQ(app.help(),
            "Does things.\n\nUsage: prog [OPTIONS]\n\nOptions:\n  --a-flag-with-quite-a-long-name\n" +
                std::string(30, ' ') + std::string(60, 'x') + "\n" + std::string(30, ' ') +
                std::string(20, 'y') + "\n");
}

TEST(CommandLineTest, ManualEscapesWhatTroffWouldRead) {
  Program program;
  ManualWords words;
  words.version = "prog 1";
  words.summary = "does things";
  words.sections = {{"FILES", ".profile\nis read.\n\nA backslash: \\"}};
  words.see_also = {"other(8)"};
  EXPECT_EQ(ManualPage(Describe(program.app), words), R"(.TH PROG 1 "" "prog 1"
.nh
.SH NAME
prog \- does things
.SH SYNOPSIS
\fBprog\fR [OPTIONS] COMMAND
.SH DESCRIPTION
Does things.
.SH OPTIONS
.TP
\fB\-h\fR, \fB\-\-help\fR
This text
.TP
\fB\-\-place\fR \fIHOST:PORT\fR
Where it is (or PROG_PLACE)
.SH COMMANDS
.SS run
\fBprog run\fR [OPTIONS] file...
.PP
Runs.
.TP
\fBfile\fR
What to run
.TP
\fB\-n\fR, \fB\-\-number\fR \fIN\fR
How many (1 to 9; default: 7)
.TP
\fB\-\-quiet\fR
Say nothing (not with \-\-mode)
.TP
\fB\-\-mode\fR \fIfast|slow\fR
How (not with \-\-quiet)
.PP
.nf
Examples:
  prog run .x
.fi
.SH FILES
.PP
\&.profile
is read.
.PP
A backslash: \e
.SH SEE ALSO
\fBother\fR(8)
)");
}

}  // namespace
}  // namespace walstitch
