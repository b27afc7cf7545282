// Detached signatures: ed25519 over a file's bytes, 64 bytes in FILE.sig, as `clipspect sign` and openssl make them.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "error.hpp"
#include "files.hpp"

namespace clipspect {

class PublicKey {
  public:
    // PEM (SubjectPublicKeyInfo), ed25519. Raises SignatureError.
    explicit PublicKey(const std::filesystem::path& path) : path_(path) {
        const std::string pem = detail::read_file<SignatureError>(path, most_);
        if (pem.find("PRIVATE KEY-----") != std::string::npos)
            throw SignatureError(path.string() +
                                 ": holds a private key, which only who signs may have: give the public "
                                 "one, KEY.public.pem");
        const std::unique_ptr<BIO, int (*)(BIO*)> held(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                       BIO_free);
        const auto no_password = [](char*, int, int, void*) {
            return -1;
        };  // else OpenSSL asks the terminal, and waits
        key_.reset(PEM_read_bio_PUBKEY(held.get(), nullptr, no_password, nullptr), EVP_PKEY_free);
        if (key_ == nullptr)
            throw SignatureError(path.string() + ": no public key in PEM: clipspect sign --new-key makes a pair");
        if (EVP_PKEY_base_id(key_.get()) != EVP_PKEY_ED25519)
            throw SignatureError(path.string() + ": a key of another kind than ed25519");
    }

    // Refuses the bytes that were read from a file, unless the key's owner signed them. Raises SignatureError.
    void require(const std::filesystem::path& file, std::string_view data) const {
        std::filesystem::path beside = file;
        beside += ".sig";
        if (detail::is_link(beside)) throw SignatureError(beside.string() + ": is a link: copy it with cp -L");
        if (!detail::is_plain_file(beside))
            throw SignatureError(file.string() + ": is not signed, and a signature is required: clipspect sign");
        const std::string signature = detail::read_file<SignatureError>(beside, most_);
        const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
        const auto bytes = [](std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); };
        if (signature.size() != 64 || context == nullptr ||
            EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
            EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(data), data.size()) != 1)
            throw SignatureError(file.string() + ": " + beside.filename().string() +
                                 " is no signature of these bytes by " + path_.string() +
                                 ": the file was changed or written again, or another key signed it");
    }

  private:
    static constexpr std::uintmax_t most_ = std::uintmax_t{1} << 16;  // bytes, of a key or a signature

    std::filesystem::path path_;
    std::shared_ptr<EVP_PKEY> key_;
};

}  // namespace clipspect
