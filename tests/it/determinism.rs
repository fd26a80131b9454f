//! The same snapshot gives the same bytes, however many threads and requests there are.

use super::support::{Ask, command, fixtures, render, see};

#[test]
fn the_output_does_not_depend_on_threads_or_on_requests_in_flight() {
    // Those with the most handles, files and kinds of state, and all of the broken findings' order.
    for name in ["inc-1.20", "rescaled-1.20", "savepoint-canonical-2.3", "file-merging-1.20"] {
        let fixture = super::support::fixture(name);
        let path = fixture.newest();
        let copy = fixture.copy();
        // Damage makes findings, which must come in the same order too.
        for file in super::support::files_below(&copy.path(&path)) {
            if file != "_metadata" && file.as_bytes()[0] % 3 == 0 {
                std::fs::write(copy.path(&path).join(file), "x").unwrap();
            }
        }
        let run = |threads: &str, in_flight: &str, format: &str| {
            let args =
                ["inspect", &path, "--properties", "--at", "0", "--in-flight", in_flight, "-o", format];
            let output = command()
                .args(args)
                .current_dir(&copy.root)
                .env("RAYON_NUM_THREADS", threads)
                .output()
                .unwrap();
            assert!(matches!(output.status.code(), Some(0 | 5)), "{name}: {output:?}");
            assert!(!output.stdout.is_empty());
            output.stdout
        };
        for format in ["json", "table"] {
            let expected = run("1", "1", format);
            for (threads, in_flight) in [("8", "1"), ("1", "32"), ("8", "32"), ("8", "32")] {
                let same = run(threads, in_flight, format) == expected;
                assert!(same, "{name}: {format} with {threads} threads, {in_flight} in flight");
            }
        }
    }
}

#[test]
fn the_output_does_not_depend_on_the_order_of_answers() {
    for fixture in fixtures() {
        let path = fixture.newest();
        let output = |in_flight: usize| {
            let storage = fixture.in_memory(|p| fixture.recorded(p));
            let ask = Ask { in_flight: Some(in_flight), ..Ask::properties() };
            render(&see(&storage, &fixture.recorded(&path), &ask).overview)
        };
        assert!(output(1) == output(32), "{}", fixture.name);
    }
}
