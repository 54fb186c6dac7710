//! t
use std::time::Instant;

use undertone::{Profile, Schema};
use undertone_linkability::{attack, crowd::Setting, ideal, leak::Leak, pairs::*, score::formula, workload::*};

fn main() {
    let a: Vec<String> = std::env::args().collect();
    let program = Program::Browser;
    let s = Setting {
        agents: a[1].parse().unwrap(),
        days: a[2].parse().unwrap(),
        seed: 1,
        program,
        schema: Schema::try_from(program.declaration()).unwrap(),
        profile: Profile::Anonymous,
        values: true,
        threads: 2,
    };
    let asking = Asking { reach: 3.0 * HOUR, from: DAY, at_most: 100_000 };
    let t = Instant::now();
    let i = Pairs::new(ideal::sessions(&s), asking);
    println!("ideal {} rate {} formula {:.4} {:?}", i.questions.len(), i.rate, formula(i.rate), t.elapsed());
    for r in attack::metadata(&i) { if r.score.right > 0 { println!("  {:<40} {:.4} {:?}", r.attacker, r.score.share(), r.score.bounds()); } }
    println!("{:?}", t.elapsed());
    if a.len() > 3 { return; }
    let c = s.simulate(&Leak::ALL).unwrap();
    println!("sim {:?}", t.elapsed());
    let p = Pairs::new(c.sessions.clone(), asking);
    println!("real {} rate {} formula {:.4} {:?}", p.questions.len(), p.rate, formula(p.rate), t.elapsed());
    for r in attack::metadata(&p) { println!("  {:<40} {:.4} {:?}", r.attacker, r.score.share(), r.score.bounds()); }
    println!("{:?}", t.elapsed());
    for r in attack::values(&p) { println!("  {:<40} {:.4} {:?}", r.attacker, r.score.share(), r.score.bounds()); }
    println!("{:?}", t.elapsed());
    for (leak, sessions) in Leak::ALL.iter().zip(&c.leaks) {
        println!("{}", leak.name());
        for strength in [0.25, 0.05, 0.01] {
            let n = ((s.agents as f64 * strength) as u32).max(1);
            let mixed = c.sessions.iter().filter(|x| x.agent >= n).chain(sessions.iter().filter(|x| x.agent < n)).cloned().collect();
            let q = Pairs::new(mixed, asking);
            let mut rs = attack::metadata(&q);
            if leak.is_of_values() { rs = attack::values(&q); }
            let b = attack::best(&rs).unwrap();
            println!("  {strength} {:<40} {:.4} {:?}", b.attacker, b.score.share(), b.score.bounds());
        }
    }
    println!("{:?}", t.elapsed());
}
