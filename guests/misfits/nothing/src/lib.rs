//! A component without anything to serve: it exports one function that is not HTTP. In: two numbers. Out: their sum.

use crate::bindings::Guest;

mod bindings {
    wit_bindgen::generate!({
        inline: "package acme:nothing@1.0.0; world adder { export add: func(left: u32, right: u32) -> u32; }",
    });

    use super::Nothing;
    export!(Nothing);
}

struct Nothing;

impl Guest for Nothing {
    fn add(left: u32, right: u32) -> u32 {
        left.wrapping_add(right)
    }
}
