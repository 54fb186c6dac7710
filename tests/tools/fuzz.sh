#!/usr/bin/env bash
# Runs each target of tests/fuzz for some minutes: fuzz.sh MINUTES [TARGET]. With MINUTES=merge it makes the committed corpora
# anew, as small as they reach what all that was found until now reaches.
#
# A stable compiler is enough: it accepts the passes of libFuzzer's coverage. What `cargo fuzz run -s none` would run is the same.
# What is found until now stays in target/fuzz/corpus, findings in target/fuzz/findings.
set -euo pipefail
cd "$(dirname "$0")/../.."
minutes=${1:?minutes} only=${2:-}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
flags+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
# With --target, build scripts and macros are built without.
CARGO_TARGET_DIR= RUSTFLAGS=$flags cargo build --manifest-path tests/fuzz/Cargo.toml --locked --release \
	--target "$host" --target-dir "$target" ${only:+--bin "$only"}

mapfile -t targets < <(cd tests/fuzz/fuzz_targets && ls -- *.rs | sed 's/\.rs$//')
failed=0
report=
for name in "${targets[@]}"; do
	[ -z "$only" ] || [ "$only" = "$name" ] || continue
	corpus=tests/fuzz/corpus/$name found=$target/corpus/$name findings=$target/findings/$name log=$target/$name.log
	mkdir -p "$corpus" "$found" "$findings"
	options=(-rss_limit_mb=1024 -timeout=10 -max_len=8192 -artifact_prefix="$findings/")
	[ ! -e "tests/fuzz/dictionaries/$name" ] || options+=(-dict="tests/fuzz/dictionaries/$name")
	if [ "$minutes" = merge ]; then
		small=$(mktemp -d)
		"$target/$host/release/$name" -merge=1 "${options[@]}" "$small" "$corpus" "$found" >"$log" 2>&1
		# The seeds stay, whose names say what they are; beside them the smallest, up to a few KiB.
		find "$corpus" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
		total=0
		while read -r size file; do
			total=$((total + size))
			[ $size -le 1024 ] && [ $total -le 12288 ] || continue
			cp "$small/$file" "$corpus/$file"
		done < <(find "$small" -type f -printf '%s %f\n' | sort -n)
		rm -r "$small"
		continue
	fi
	echo "$name: $minutes min" >&2
	status=0
	"$target/$host/release/$name" -max_total_time=$((minutes * 60)) -print_final_stats=1 "${options[@]}" \
		"$found" "$corpus" >"$log" 2>&1 || status=$?
	executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
	coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -1 | cut -d' ' -f2)
	count=$(find "$findings" -type f | wc -l)
	[ $status -eq 0 ] || { failed=1; tail -n 40 "$log" >&2; }
	report+=$(printf '%-15s %12s %8s %9s %9s' "$name" "${executions:-?}" "${rate:-?}" "${coverage:-?}" "$count")$'\n'
done
[ -z "$report" ] || printf '%-15s %12s %8s %9s %9s\n%s' target executions a-second edges findings "$report"
exit $failed
