# SPDX-License-Identifier: Apache-2.0
# Adds up the test cases in CTest's LastTest.log. Prints `PASSED FAILED SKIPPED`; names what failed or was skipped on
# standard error. A case that prints `skipped:` counts as skipped, a program without a summary as one failed test.

/^[0-9]+\/[0-9]+ Testing: / {
    verdict(0)  # of a program that came to no end
    program = $3
    summary = passed = failed = filtered = skipped = 0
    title = ""
    split("", skips); split("", errors)
}
/^Command: ""$/ { verdict(0) }  # no such program; CTest's log calls it passed
/^TEST CASE: / { title = substr($0, 12); sub(/^ +/, "", title) }
/(ERROR|FATAL ERROR): / && title != "" { errors[title] = 1 }
/(^|MESSAGE: )skipped: / && !(title in skips) {
    reason = $0
    sub(/.*skipped: /, "", reason)
    skips[title] = reason
}
/^\[[a-z_+.]+\] test cases: +[0-9]+ \|/ {
    summary = 1
    split($0, part, "|")
    passed += part[2]; failed += part[3]; filtered += part[4]
}
/^Test (Passed|Failed)\./ { verdict($2 == "Passed.") }

function verdict(good) {
    if (program == "") return
    for (title in skips) if (!(title in errors)) {
        skipped++
        print "skipped  " program ": " title ": " skips[title] > "/dev/stderr"
    }
    if (!summary) { if (good) passed = 1; else failed = 1 }
    else if (!good && failed == 0) failed = 1
    if (failed > 0) print "failed   " program > "/dev/stderr"
    if (passed >= skipped) passed -= skipped
    total["passed"] += passed; total["failed"] += failed; total["skipped"] += skipped + filtered
    program = title = ""
}

END {
    verdict(0)
    print total["passed"] + 0, total["failed"] + 0, total["skipped"] + 0
}
