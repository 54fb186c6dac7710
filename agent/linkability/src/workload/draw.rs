//! Draws from the distributions that workloads are made of.

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// A generator of its own for one purpose.
#[derive(Debug)]
pub struct Draws(StdRng);

/// The generator of a purpose, by the run's seed and a number.
pub fn draws(seed: u64, purpose: u64) -> Draws {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&purpose.to_le_bytes());
    Draws(StdRng::from_seed(bytes))
}

impl Draws {
    /// Uniform between 0 and 1.
    pub fn uniform(&mut self) -> f64 {
        self.0.random()
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0.random()
    }

    /// Exponential.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.uniform()).ln()
    }

    /// Normal, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Log-normal of median 1.
    pub fn log_normal(&mut self, sigma: f64) -> f64 {
        (sigma * self.normal()).exp()
    }

    /// Poisson, by Knuth; above 30 the normal that it becomes.
    pub fn poisson(&mut self, mean: f64) -> u32 {
        if mean > 30.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u32;
        }
        let (limit, mut product, mut events) = ((-mean).exp(), self.uniform(), 0);
        while product > limit {
            product *= self.uniform();
            events += 1;
        }
        events
    }
}
