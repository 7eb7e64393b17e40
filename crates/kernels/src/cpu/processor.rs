//! The processor's name.

/// The processor's name with its family and model, which tell generations apart where a virtual machine hides the name:
/// "AMD EPYC 9654 96-Core Processor (family 25, model 17)". Where it does not say, the architecture: "aarch64".
pub fn processor() -> String {
    named().unwrap_or_else(|| std::env::consts::ARCH.to_string())
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
fn named() -> Option<String> {
    use std::arch::x86_64::__cpuid;
    const FIRST: u32 = 0x8000_0002;
    const LAST: u32 = 0x8000_0004;
    if __cpuid(0x8000_0000).eax < LAST {
        return None;
    }
    let leaf = |n| {
        let r = __cpuid(n);
        [r.eax, r.ebx, r.ecx, r.edx].map(u32::to_le_bytes)
    };
    let bytes: Vec<u8> = (FIRST..=LAST).flat_map(leaf).flatten().collect();
    let text = String::from_utf8_lossy(&bytes);
    let name: Vec<&str> = text.trim_matches('\0').split_whitespace().collect();
    let (family, model) = family_and_model(__cpuid(1).eax);
    (!name.is_empty()).then(|| format!("{} (family {family}, model {model})", name.join(" ")))
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn named() -> Option<String> {
    None
}

/// As the vendors compose them from the bits of leaf 1 (AMD APM volume 3, CPUID Fn0000_0001_EAX; Intel SDM, CPUID).
#[cfg(all(target_arch = "x86_64", not(miri)))]
fn family_and_model(eax: u32) -> (u32, u32) {
    let bits = |from: u32, count: u32| (eax >> from) & ((1 << count) - 1);
    let (family, model) = (bits(8, 4), bits(4, 4));
    match family {
        15 => (family + bits(20, 8), (bits(16, 4) << 4) | model),
        6 => (family, (bits(16, 4) << 4) | model),
        _ => (family, model),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_has_a_name() {
        let name = processor();
        assert!(
            !name.trim().is_empty() && !name.contains(['\0', '\n']),
            "{name:?}"
        );
    }

    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[test]
    fn family_and_model_are_those_of_known_signatures() {
        // AMD Zen 4 (Genoa), Intel Ice Lake server, Intel Pentium MMX.
        assert_eq!(family_and_model(0x00a1_0f11), (25, 17));
        assert_eq!(family_and_model(0x0006_06a6), (6, 106));
        assert_eq!(family_and_model(0x0000_0543), (5, 4));
    }
}
