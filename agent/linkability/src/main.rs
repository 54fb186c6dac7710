//! t
use std::time::Instant;

use undertone::{Profile, Schema};
use undertone_linkability::{crowd::Setting, leak::Leak, workload::Program};

fn main() {
    for program in [Program::Browser, Program::FileServer] {
        let schema = Schema::try_from(program.declaration()).unwrap();
        let s = Setting {
            agents: 20,
            days: 3.0,
            seed: 1,
            program,
            schema,
            profile: Profile::Anonymous,
            values: true,
            threads: 1,
        };
        let t = Instant::now();
        let c = s.simulate(&[]).unwrap();
        println!("{:?} {} {:?}", program, c.sessions.len(), t.elapsed() / 60);
        let t = Instant::now();
        let c = s.simulate(&Leak::ALL).unwrap();
        println!("{:?} {} {:?} with leaks", program, c.sessions.len(), t.elapsed() / 60);
    }
}
